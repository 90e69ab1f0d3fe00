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
