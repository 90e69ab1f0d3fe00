"""The end of `alchemist run` on a terminal: the figures of a report in a few small tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.metrics import Metrics, WorstGroup
from engine.reporting.asked import Money
from engine.reporting.images import WAYS, ComparisonLine
from engine.reporting.report import Report

_UNKNOWN = "–"


def summary(report: Report, *, reasons: Mapping[str, str] | None = None) -> RenderableType:
    """Draw the figures of a report; names in it are shown as they are, never as markup.

    Args:
        report: of the run.
        reasons: {stage: why it was computed, or "reused"}; without them it is said which were reused.
    """
    parts = [_head(report)]
    if report.metrics is None:
        parts.append(Text(f"No figures against gold: {report.metrics_reason}"))
    else:
        parts.append(_accuracies(report))
        if report.comparison:
            parts.append(_beside_prompting(report.comparison))
    parts += [_stages(report, reasons or {}), Text(_money(report.money))]
    for kind, names in (("quarantined", report.quarantined), ("rejected", report.rejected_programs)):
        if names:
            parts.append(Text(f"Programs {kind}: {', '.join(names)}; report.html says why", style="yellow"))
    if report.disabled_programs:
        parts.append(Text(f"Programs disabled: {', '.join(report.disabled_programs)}"))
    parts += [Text(f"Warning: {warning}", style="yellow") for warning in report.warnings]
    return Group(*parts)


def _head(report: Report) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    null = f", {report.null_texts:,} without text" if report.null_texts else ""
    cells = sum(sum(codes.values()) for codes in report.faults.values())
    guilty = sum(1 for codes in report.faults.values() if codes)
    rows = (
        ("Task", report.task),
        ("Rows", f"{report.rows:,} ({report.rows_test:,} test{null})"),
        ("Programs", f"{len(report.programs)}"),
        ("Coverage", _share(report.coverage)),
        ("Faults", f"{cells:,} cells, in {guilty} of {len(report.programs)} programs" if cells else "none"),
    )
    for name, value in rows:
        table.add_row(Text(name, style="bold"), Text(value))
    return table


def _accuracies(report: Report) -> RenderableType:
    metrics = report.metrics
    if metrics is None:
        raise ValueError("a report without metrics has no accuracies")
    models: Sequence[tuple[str, Metrics | None]] = (
        ("majority vote", metrics.majority_vote),
        ("label model", metrics.label_model),
        ("distilled model", metrics.end_model),
    )
    # Beside prompting the worst groups are shown for all.
    last = () if report.comparison else ("worst group",)
    table = _table(f"On {metrics.label_model.rows:,} test rows", "accuracy", "covered", "F1", "log loss", *last)
    for name, figures in models:
        if figures is None:
            continue
        table.add_row(
            Text(name),
            _share(figures.accuracy),
            _share(figures.accuracy_covered),
            _UNKNOWN if figures.f1 is None else f"{figures.f1:.3f}",
            f"{figures.log_loss:.3f}",
            *([_worst(figures.worst_group)] if last else []),
        )
    return table


def _beside_prompting(comparison: Mapping[str, ComparisonLine]) -> RenderableType:
    table = _table("Beside prompting", "accuracy (95%)", "gap", "change", "worst group (95%)")
    for name, line in comparison.items():
        table.add_row(
            Text(WAYS[name].lower()),
            _between(line.accuracy, line.accuracy_low, line.accuracy_high),
            _UNKNOWN if line.gap is None else f"{100 * line.gap:.1f}",
            _UNKNOWN if line.gap_change is None else f"{100 * line.gap_change:+.1f}",
            _worst(line.worst_group),
        )
    return table


def _worst(group: WorstGroup | None) -> Text:
    if group is None:
        return Text(_UNKNOWN)
    return Text(f"{_between(group.accuracy, group.low, group.high)}, {group.name}, {group.rows:,} rows")


def _between(share: float, low: float, high: float) -> str:
    return f"{_share(share)} ({100 * low:.0f} to {100 * high:.0f})"


def _stages(report: Report, reasons: Mapping[str, str]) -> RenderableType:
    table = _table("Stage", "seconds", "rows", "rows/s", "")
    for name, stage in report.stages.items():
        table.add_row(
            Text(name),
            f"{stage.seconds:,.1f}",
            _UNKNOWN if stage.rows is None else f"{stage.rows:,}",
            _UNKNOWN if stage.rows_per_s is None else f"{stage.rows_per_s:,.0f}",
            Text(reasons.get(name, "reused" if stage.status == "reused" else "")),
        )
    return table


def _money(money: Money) -> str:
    known = money.tokens_in is not None and money.tokens_out is not None
    tokens = f"{money.tokens_in:,} tokens in, {money.tokens_out:,} out" if known else "tokens unknown"
    spent = "unknown" if money.spent is None else _amount(money.spent, money.currency)
    direct = money.direct_labeling_estimate
    instead = "unknown" if direct is None else f"about {_amount(direct, money.currency)}"
    why = f" ({money.reason})" if money.reason else ""
    return f"Spent on the language model: {spent} ({tokens}). Labeling each row directly: {instead}{why}."


def _amount(value: float, currency: str | None) -> str:
    return f"{value:,.4f} {currency or ''}".rstrip() if value else "nothing"


def _table(*titles: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for i, title in enumerate(titles):
        table.add_column(Text(title), justify="right" if i and title else "left")
    return table


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None or value != value else f"{100 * value:.1f} %"
