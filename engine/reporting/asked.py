"""What the report says of the language model: what it was asked, what it cost and what it labeled itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMoney:
    """One model of the ledger: answered requests and what they took, each at its own price; None where unknown."""

    model: str
    requests: int
    tokens_in: int
    tokens_out: int
    spent: float | None
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What the language model cost, and what it would cost to ask it for each row.

    Attributes:
        spent: in `currency`; None where a price is unknown.
        tokens_in: of all answered requests; None where the programs do not say.
        tokens_out: likewise.
        direct_labeling_estimate: one request a row by the same model, in `currency`; None where unknown.
        reason: why one of the two is None.
        price_as_of: of the list price that the task's model is priced at; None where the task gives the price.
        unanswered: requests that got no answer and may have been charged all the same.
        at_risk: the most that those can have cost; None where unknown.
        by_model: what each model of the ledger took; empty where this run asked none.
    """

    spent: float | None
    tokens_in: int | None
    tokens_out: int | None
    direct_labeling_estimate: float | None
    currency: str | None
    reason: str | None = None
    price_as_of: str | None = None
    unanswered: int = 0
    at_risk: float | None = 0.0
    by_model: tuple[ModelMoney, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The annotator beside the others, all on the same test rows; None where there is no gold on them.

    Attributes:
        rows: test rows with gold that it was asked about.
        accuracy: by way to a label, over all these rows.
    """

    rows: int
    accuracy: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorFigures:
    """Rows that the language model labeled directly.

    Attributes:
        models: as the endpoint names them.
        rows: asked about.
        baseline_rows: of these, test rows asked about for comparison.
        rest_rows: of these, rows that were to take its label.
        labeled: of these, rows that did.
        changed: of these, rows whose label it changed, those without one before among them.
        faults: rows without a label by kind: `unreadable`, `unusable`, `refused`.
        shortened: rows whose text was cut.
        requests: paid; equal texts share one.
        spent: in `currency`; None where a price is unknown.
    """

    models: tuple[str, ...]
    rows: int
    baseline_rows: int
    rest_rows: int
    labeled: int
    changed: int
    faults: Mapping[str, int]
    shortened: int
    requests: int
    tokens_in: int
    tokens_out: int
    spent: float | None
    currency: str | None
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisFigures:
    """What was asked of the language model, and what came of it.

    Attributes:
        asked: answers that were asked for, from the ledger or not.
        usable_at_first: programs from a first answer.
        repaired: programs from an answer that put an earlier one right.
        near_duplicates: answers that were refused for repeating another program.
        stop: "count", or "no_growth" where coverage and agreement no longer grew.
    """

    asked: int
    usable_at_first: int
    repaired: int
    near_duplicates: int
    stop: str
