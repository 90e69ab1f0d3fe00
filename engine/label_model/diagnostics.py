"""How moment matching went, for people: kept with the label model and shown in the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Two programs whose votes for a class agree more than the class explains."""

    program: int
    other: int
    vote: int
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """How moment matching went.

    Attributes:
        class_balance: (k,) estimated from the votes, before any shrinking of the prior.
        prior_rule: "given", "estimated" or "shrunk": where the prior comes from.
        temperature: what the sum of the evidence is multiplied by; see temperature.py.
        gold_rows: rows with gold that were used; 0 unless the user gave some.
        pairs: pairs of votes that carry information.
        parameters: free parameters of the vote table.
        misfit_anchor: mean squared misfit of pair counts in units of their spread, with the vote-share table.
        misfit: the same after matching; NaN where nothing was matched.
        independence_doubt: `misfit` over `misfit_anchor`, corrected for parameters; near 0 where programs are
            independent given the class, about 1 where matching explains nothing.
        pull: strength of the pull towards the vote-share table in the last fit.
        solves: convex problems solved.
        inaccurate_solves: those that ended short of the solver's full accuracy.
    """

    class_balance: tuple[float, ...]
    prior_rule: str
    temperature: float
    gold_rows: int
    pairs: int
    parameters: int
    misfit_anchor: float
    misfit: float
    independence_doubt: float
    pull: float
    solves: int
    inaccurate_solves: int
    duplicates: tuple[Duplicate, ...]


def to_plain(diagnostics: Diagnostics) -> dict[str, Any]:
    """Return JSON values; what was not measured becomes None."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(diagnostics)))
    # JSON has no NaN.
    return {name: None if value != value else value for name, value in content.items()}


def from_plain(content: Mapping[str, Any]) -> Diagnostics:
    """Read what `to_plain` returned."""
    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in content.items()}
    values["class_balance"] = tuple(values["class_balance"])
    values["duplicates"] = tuple(Duplicate(**found) for found in values["duplicates"])
    return Diagnostics(**values)
