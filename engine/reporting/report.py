"""The report of a run as a value, and the two files that it is written to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from engine.metrics import Metrics
from operators.commit import commit


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
class Money:
    """What the language model cost, and what it would cost to ask it for each row.

    Attributes:
        spent: in `currency`; None where a price is unknown.
        tokens_in: of all answered requests; None where the programs do not say.
        tokens_out: likewise.
        direct_labeling_estimate: one request a row by the same model, in `currency`; None where unknown.
        reason: why one of the two is None.
    """

    spent: float | None
    tokens_in: int | None
    tokens_out: int | None
    direct_labeling_estimate: float | None
    currency: str | None
    reason: str | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a run has to say; docs/report.md gives each key's meaning and unit.

    Attributes:
        metrics: None where there is nothing to compare with; `metrics_reason` says why.
    """

    task: str
    rows: int
    rows_test: int
    null_texts: int
    coverage: float | None
    class_balance: ClassBalance
    label_distribution: Mapping[str, int] = field(default_factory=dict)
    programs: tuple[ProgramFigures, ...]
    faults: Mapping[str, Mapping[str, int]]
    quarantined: Mapping[str, str]
    rejected_programs: Mapping[str, tuple[str, ...]]
    metrics: MetricsByModel | None
    metrics_reason: str | None
    label_model: LabelModelFigures
    disagreement: Disagreement | None = None
    end_model: Mapping[str, Any] | None
    stages: Mapping[str, StageFigures]
    money: Money
    sandbox: SandboxFigures
    gold_used_for: tuple[str, ...] = ("evaluate",)
    versions: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    samples: Samples = Samples()

    def to_json(self) -> dict[str, Any]:
        """Return JSON values under the keys of docs/report.md; what is not a number becomes None.

        A NaN is named in `warnings`, since JSON has no word for it; not in the models' own accounts, where it stands
        for what did not happen.
        """
        nans: list[str] = []
        content: dict[str, Any] = _plain(asdict(self), "", nans)
        told = [where for where in nans if not where.startswith(("label_model.diagnostics", "end_model"))]
        content["warnings"] += [f"{where} is not a number and is given as null" for where in told]
        return content


def write_report(report: Report, folder: Path) -> None:
    """Write report.json and report.html into a folder, in the place of older ones.

    Raises:
        InputError: there is no room, or no right to write.
    """
    # jinja2 is not needed by those who only read a report's figures.
    from engine.reporting.html import render

    text = json.dumps(report.to_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    page = render(report)
    for name, content in (("report.json", text), ("report.html", page)):
        data = content.encode("utf-8", "replace")
        commit(folder / name, lambda path, data=data: path.write_bytes(data), replace=True)  # type: ignore[misc]


def _plain(value: Any, where: str, nans: list[str]) -> Any:
    """Turn mappings, sequences and NumPy's numbers into JSON's own kinds."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v, f"{where}.{k}".lstrip("."), nans) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, f"{where}[{i}]", nans) for i, v in enumerate(value)]
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), where, nans)
    if isinstance(value, float) and not math.isfinite(value):
        nans.append(where)
        return None
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise TypeError(f"{where}: a report holds JSON values, got {type(value).__name__}")
