"""How far accuracies and class balance would move with other rows: intervals by the jackknife, without gold.

The rows are dealt into groups, each group is left out once, and the spread of the answers says how sure the whole is.
That covers the chance of which rows were drawn. It does not cover what the votes cannot show: programs that err
together, or a balance that no program measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.label_model.anchor import Tokens
from engine.label_model.model import LabelModel
from operators.moments import Moments
from operators.patterns import Patterns
from operators.schema import Floats

if TYPE_CHECKING:
    from engine.label_model.moment_matching import Match

_GROUPS = 10
_NORMAL_95 = 1.96
_MOST_CELLS = 4_000_000
"""Patterns times programs times classes that are counted for each group; more patterns are sampled."""

MOST_VOTES = 400
"""Programs times classes above which ten more fits would take minutes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intervals:
    """Of 95%, clipped to 0..1.

    Attributes:
        accuracies: (m, 2), low and high, NaN for a program that never votes.
        class_balance: (k, 2), likewise, of the balance before any shrinking.
    """

    accuracies: Floats
    class_balance: Floats

    def to_json(self) -> dict[str, Any]:
        """Return plain values; what is not a number becomes None."""
        pairs = [[None if x != x else x for x in pair] for pair in self.accuracies.tolist()]
        return {"accuracies": pairs, "class_balance": self.class_balance.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Intervals:
        """Read what `to_json` returned."""
        return cls(
            accuracies=np.array(content["accuracies"], np.float64).reshape(-1, 2),
            class_balance=np.array(content["class_balance"], np.float64),
        )


def intervals_of(model: LabelModel, patterns: Patterns) -> Intervals | None:
    """Estimate intervals around the answers of a fit.

    Args:
        model: fitted by moment matching.
        patterns: of the rows that it was fitted on.

    Returns:
        None where another method estimated nothing, where there are fewer than two rows a group, or more than
        `MOST_VOTES` votes to fit.

    Reference:
        B. Efron and C. Stein, The jackknife estimate of variance, 1981; the delete-a-group form.
    """
    if model.method != "moment_matching":
        return None
    # Imported here, as it brings the solver, and whoever reads a label model needs none.
    from engine.label_model.moment_matching import match

    m, k = model.num_programs, model.num_classes
    kept = max(1, min(len(patterns.counts), _MOST_CELLS // max(1, m * k)))
    votes, counts = patterns.votes[:kept], patterns.counts[:kept]
    if m * k > MOST_VOTES or counts.sum() < 2 * _GROUPS:
        return None
    dealt = np.random.default_rng(0).multinomial(counts, [1.0 / _GROUPS] * _GROUPS)
    found = [_answers(Moments.of(votes, k, weights=counts - dealt[:, group]), match) for group in range(_GROUPS)]
    # Of a sample of the rows the spread is larger, by the root of its share.
    scale = np.sqrt((_GROUPS - 1) / _GROUPS * counts.sum() / max(1, patterns.num_rows))
    spread = [scale * np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=0)) for x in map(np.stack, zip(*found, strict=True))]
    return Intervals(
        accuracies=_around(model.accuracies, spread[0]), class_balance=_around(model.class_balance, spread[1])
    )


def _answers(moments: Moments, match: Callable[[Tokens], Match]) -> tuple[Floats, Floats]:
    """(m,) accuracies and (k,) class balance."""
    tokens = Tokens.of(moments)
    table = match(tokens).table
    right = np.zeros(moments.num_programs)
    np.add.at(right, tokens.programs, tokens.counts * table[np.arange(len(table)), tokens.classes])
    votes = moments.first.sum(axis=1)
    accuracies = np.full(len(votes), np.nan)
    np.divide(right, votes, out=accuracies, where=votes > 0)
    return accuracies, tokens.balance


def _around(answer: Floats, spread: Floats) -> Floats:
    half = _NORMAL_95 * spread
    result: Floats = np.clip(np.stack([answer - half, answer + half], axis=1), 0.0, 1.0)
    return result
