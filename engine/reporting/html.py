"""report.html: one file that opens offline, everything in it. Texts in it are untrusted, so all is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from engine.metrics import Bin, Metrics
from engine.reporting import plots
from engine.reporting.images import WAYS, Thumbnail
from engine.reporting.report import Report

METHODS = {name: WAYS[name] for name in ("majority_vote", "label_model", "end_model")}

_NAME_CHARS = 40


def render(report: Report, *, thumbnails: Mapping[str, Thumbnail]) -> str:
    """Write the page, with the thumbnails by id in it."""
    environment = Environment(
        loader=PackageLoader("engine.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {"share": _share, "count": _count, "number": _number, "points": _points}
    environment.filters |= {"end": _end, "value": _value}
    page = environment.get_template("report.html.jinja")
    # What goes to the page is what went to the file: NaN is None in both, and NumPy's numbers are numbers.
    return page.render(
        report=report.to_json(), plots=_plots(report), method_names=METHODS, ways=WAYS, thumbnails=thumbnails
    )


def _plots(report: Report) -> dict[str, Markup]:
    metrics = _metrics(report)
    drawn = {
        "labels": _label_plot(report),
        "stages": plots.bars(
            [(name, stage.seconds, f"{stage.seconds:,.1f} s") for name, stage in report.stages.items()],
            title="Seconds a stage",
        ),
    }
    if report.programs:
        series = ["coverage", "estimated accuracy", "gold accuracy"][: 3 if metrics else 2]
        shares = [
            (p.name, [_finite(v) for v in (p.coverage, p.estimated_accuracy, p.gold_accuracy)][: len(series)])
            for p in report.programs
        ]
        drawn["programs"] = plots.grouped_bars(shares, series=series, title="Coverage and accuracy of each program")
    if metrics:
        curves = {METHODS[name]: m.reliability for name, m in metrics.items()}
        drawn["reliability"] = plots.reliability(curves, title="Accuracy over confidence on the test rows")
    soft = _soft_reliability(report)
    if any(found.rows for found in soft):
        title = "Soft label over confidence on held-out rows"
        drawn["soft_reliability"] = plots.reliability({METHODS["end_model"]: soft}, title=title, up="soft label")
    return drawn


def _soft_reliability(report: Report) -> tuple[Bin, ...]:
    """Return the distilled model's bins, with the soft label of the predicted class in the place of accuracy."""
    return tuple(
        Bin(low=b["low"], high=b["high"], rows=b["rows"], confidence=b["confidence"], accuracy=b["soft_label"])
        for b in (report.end_model or {}).get("reliability", ())
    )


def _label_plot(report: Report) -> Markup:
    counts = report.label_distribution
    if counts:
        items = [(name, float(rows), f"{rows:,}") for name, rows in counts.items()]
        return plots.bars(items, title="Rows by hard label")
    items = [(name, share, f"{share:.1%}") for name, share in report.class_balance.values.items()]
    return plots.bars(items, title="Class balance")


def _metrics(report: Report) -> dict[str, Metrics]:
    if report.metrics is None:
        return {}
    found = {name: getattr(report.metrics, name) for name in METHODS}
    return {name: metrics for name, metrics in found.items() if metrics is not None}


def _finalize(value: Any) -> Any:
    if value is None:
        return "–"
    if isinstance(value, str) and not isinstance(value, Markup):
        return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in value)
    return value


def _finite(value: float | None) -> float | None:
    return value if value is not None and 0 <= value <= 1 else None


def _share(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"


def _count(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _number(value: float | None, digits: int = 3) -> str | None:
    return None if value is None else f"{value:,.{digits}f}"


def _points(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:+.1f}"


def _end(name: str) -> str:
    """Shorten a path at its beginning, which is the same for all."""
    return name if len(name) <= _NAME_CHARS else "…" + name[1 - _NAME_CHARS :]


def _value(value: Any) -> str | None:
    """Write a JSON value of unknown kind for people."""
    if value is None:
        return None
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, (Mapping, list, bool)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
