"""The parts of a report, each a value; docs/report.md gives each key's meaning and unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBalance:
    """Shares of the classes that the label model works with, by class name.

    Attributes:
        values: they sum to 1.
        low: of a 95% interval of the balance that the votes show, before any shrinking; empty where not estimated.
        high: likewise.
    """

    source: Literal["given", "estimated", "uniform"]
    values: Mapping[str, float]
    low: Mapping[str, float] = field(default_factory=dict)
    high: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFigures:
    """One program; shares are of all rows, 0..1.

    Attributes:
        digest: of its source.
        coverage: share of rows in which it votes.
        overlaps: share of rows in which it votes and another votes too.
        conflicts: share of rows in which it votes and another votes otherwise.
        polarity: names of the classes it votes.
        faults: cells without a usable vote.
        message: of its first fault, None where there is none.
        estimated_accuracy: by the label model, without gold; share of its votes that are right.
        estimated_low: of a 95% interval for which rows were drawn; not for errors that programs share.
        estimated_high: likewise.
        agreement: mean over the other programs of how often the two agree where both vote; None where it meets none.
        repeats: names of programs whose votes it repeats; all of them weigh less.
        gold_accuracy: share of its votes on test rows that are gold, None without gold or such votes.
        cpu_s_per_row: CPU seconds a row in the sandbox, measured at admission; None where it was not tried.
        model: that wrote it, None where its header does not say.
        price: of the request that bought it, in `currency`; None where unknown.
    """

    name: str
    digest: str
    coverage: float | None
    overlaps: float | None
    conflicts: float | None
    polarity: tuple[str, ...]
    faults: int = 0
    message: str | None = None
    estimated_accuracy: float | None = None
    estimated_low: float | None = None
    estimated_high: float | None = None
    agreement: float | None = None
    repeats: tuple[str, ...] = ()
    gold_accuracy: float | None = None
    cpu_s_per_row: float | None = None
    model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    price: float | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelModelFigures:
    """How votes became soft labels; `prior` by class name, `diagnostics` are JSON values of the method."""

    method: str
    prior: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    diagnostics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFigures:
    """One stage: wall seconds, rows it went over, rows a second; a reused stage shows what it took then."""

    seconds: float
    rows: int | None
    rows_per_s: float | None
    status: Literal["computed", "reused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Rows that majority vote and the label model label otherwise; class names, None for no label (a tie)."""

    majority_vote: str | None
    label_model: str | None
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """Where the label model overrules majority vote, over the covered rows.

    Attributes:
        rows: with another label.
        fraction: of the covered rows, 0..1; None where no row is covered.
        changes: by kind, the most frequent first.
    """

    rows: int
    fraction: float | None
    changes: tuple[Change, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFigures:
    """How the programs were confined.

    Attributes:
        level: reached on every shard, 0..3.
        layers: in words.
        missing: layers that the machine does not offer, a sentence each.
        group_size: programs that shared a process.
    """

    level: int | None
    layers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    group_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A row to look at; `text` is an excerpt, `label` a class name or None, `confidence` 0..1."""

    id: str | int
    text: str | None
    label: str | None
    confidence: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Rows to look at, of each kind a few."""

    most_certain: tuple[Sample, ...] = ()
    most_contested: tuple[Sample, ...] = ()
    overruled: tuple[Sample, ...] = ()
    uncovered: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsByModel:
    """Figures on the test rows with gold, for each way from votes or texts to a label."""

    majority_vote: Metrics
    label_model: Metrics
    end_model: Metrics | None
