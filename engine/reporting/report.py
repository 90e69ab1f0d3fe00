"""The report of a run as a value, and the two files that it is written to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.reporting.asked import AnnotatorFigures, Money, SynthesisFigures
from engine.reporting.images import ComparisonLine, ImageFigures, Thumbnail
from engine.reporting.nuisance import NuisanceFigures
from engine.reporting.parts import (
    ClassBalance,
    Disagreement,
    LabelModelFigures,
    MetricsByModel,
    ProgramFigures,
    Samples,
    SandboxFigures,
    StageFigures,
)
from operators.commit import commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a run has to say; docs/report.md gives each key's meaning and unit.

    Attributes:
        synthesis: None where the programs come from a folder.
        metrics: None where there is nothing to compare with; `metrics_reason` says why.
        comparison: of images, by way to a label; None for texts and records, and without gold.
        nuisance: None where the task names no such column.
        images: to look at; None for texts and records.
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
    skipped: Mapping[str, str] = field(default_factory=dict)
    rejected_programs: Mapping[str, tuple[str, ...]]
    disabled_programs: Mapping[str, str] = field(default_factory=dict)
    metrics: MetricsByModel | None
    metrics_reason: str | None
    comparison: Mapping[str, ComparisonLine] | None = None
    nuisance: NuisanceFigures | None = None
    label_model: LabelModelFigures
    disagreement: Disagreement | None = None
    end_model: Mapping[str, Any] | None
    stages: Mapping[str, StageFigures]
    annotator: AnnotatorFigures | None = None
    money: Money
    synthesis: SynthesisFigures | None = None
    sandbox: SandboxFigures
    gold_used_for: tuple[str, ...] = ("evaluate",)
    versions: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    samples: Samples = field(default_factory=Samples)
    images: ImageFigures | None = None

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


def write_report(report: Report, folder: Path, *, thumbnails: Mapping[str, Thumbnail] | None = None) -> None:
    """Write report.json and report.html into a folder, in the place of older ones.

    Args:
        report: of the run.
        folder: of the run.
        thumbnails: by id, of the images that the report shows; for the page alone.

    Raises:
        InputError: there is no room, or no right to write.
    """
    # jinja2 is not needed by those who only read a report's figures.
    from engine.reporting.html import render

    text = json.dumps(report.to_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    page = render(report, thumbnails=thumbnails or {})
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
