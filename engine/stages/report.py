"""The report: what every stage knows, put together and written as report.json and report.html."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from engine.reporting.asked import AnnotatorFigures, Baseline, Money, SynthesisFigures
from engine.reporting.parts import (
    Change,
    ClassBalance,
    Disagreement,
    LabelModelFigures,
    MetricsByModel,
    SandboxFigures,
    StageFigures,
)
from engine.reporting.report import Report, write_report
from engine.stages.context import Context
from engine.stages.evaluate import figures_of
from engine.stages.gallery import Gallery, pick_images
from engine.stages.money import spending
from engine.stages.report_parts import Parts, program_figures
from engine.stages.samples import pick
from engine.stages.thumbnails import thumbnails
from engine.store import digest_of
from engine.synthesis.programs import provenance


def report(ctx: Context, parts: Parts) -> Report:
    """Write the report, unless the one that is there says the same."""
    task, chosen, programs = ctx.task, parts.models.chosen, parts.admitted.programs
    prior = dict(zip(task.class_names, chosen.evidence.prior.tolist(), strict=True))
    used = parts.voted.counts
    every = parts.voted.every.train + parts.voted.every.test
    names = [program.name for program in programs.programs]
    faults = {name: every.fault_counts(j) for j, name in enumerate(names)}
    gallery = _gallery(ctx, parts)
    content = Report(
        task=task.name,
        rows=parts.corpus.counts.rows,
        rows_test=parts.corpus.counts.test_rows,
        null_texts=parts.corpus.counts.null_texts,
        coverage=(used.train + used.test).coverage,
        class_balance=_balance(ctx, parts, prior),
        label_distribution=dict(zip(task.class_names, parts.labeled.counts.labels.tolist(), strict=True)),
        programs=tuple(program_figures(ctx, parts, j) for j in range(len(names))),
        faults=faults,
        quarantined=parts.voted.quarantined,
        skipped=parts.corpus.skipped,
        rejected_programs={name: tuple(reasons) for name, reasons in programs.rejected.items()},
        disabled_programs=programs.disabled,
        metrics=_metrics(ctx, parts),
        metrics_reason=parts.evaluation.reason,
        comparison=parts.comparison,
        nuisance=parts.nuisance,
        label_model=LabelModelFigures(
            method=chosen.method,
            prior=prior,
            warnings=chosen.warnings,
            diagnostics={} if chosen.diagnostics is None else asdict(chosen.diagnostics),
        ),
        disagreement=_disagreement(ctx, parts),
        end_model=parts.end_model.facts,
        stages=_stages(ctx),
        annotator=_annotator(ctx, parts),
        money=_money(ctx, parts),
        synthesis=_synthesis(ctx),
        gold_used_for=_gold_used_for(ctx),
        sandbox=SandboxFigures(
            level=parts.voted.level,
            layers=programs.layers,
            missing=programs.missing,
            group_size=programs.limits.group_size,
        ),
        versions=ctx.run.noted("versions"),
        warnings=tuple(ctx.warnings),
        samples=pick(ctx, parts.corpus, parts.labeled),
        images=None if gallery is None else gallery.figures,
    )
    # Which stages were reused is said on the terminal; the report keeps saying how they were computed.
    said = content.to_json()
    lasting = {key: value for key, value in said.items() if key != "stages"}
    digest = digest_of("report", 1, lasting)
    there = all((ctx.run.path / name).exists() for name in ("report.json", "report.html"))
    changed = any(status == "computed" for status in ctx.statuses.values())
    noted = ctx.run.noted("report")
    if changed or not there or noted != digest:
        ctx.run.note(report=None)
        copies = None
        if gallery is not None and ctx.images is not None:
            copies = thumbnails(ctx.images, gallery.figures.in_turn(), gallery.places)
        write_report(content, ctx.run.path, thumbnails=copies)
        ctx.run.note(report=digest)
    return content


def _gallery(ctx: Context, parts: Parts) -> Gallery | None:
    if ctx.images is None:
        return None
    return pick_images(
        parts.corpus.shards,
        ctx.images,
        folder=ctx.run.shards,
        labels=parts.labeled.digest,
        predictions=parts.predictions,
        class_names=ctx.task.class_names,
        num_faults=len(ctx.run.noted("image_faults")),
    )


def _gold_used_for(ctx: Context) -> tuple[str, ...]:
    if ctx.task.columns.gold is None:
        return ()
    return ("fit", "evaluate") if ctx.task.label_model.gold else ("evaluate",)


def _balance(ctx: Context, parts: Parts, prior: dict[str, float]) -> ClassBalance:
    found, source = parts.models.intervals, _balance_source(ctx)
    low, high = {}, {}
    if found is not None and source == "estimated":
        low, high = (dict(zip(ctx.task.class_names, side, strict=True)) for side in found.class_balance.T.tolist())
    return ClassBalance(source=source, values=prior, low=low, high=high)


def _balance_source(ctx: Context) -> Literal["given", "estimated", "uniform"]:
    if ctx.task.prior is not None:
        return "given"
    return "uniform" if ctx.task.label_model.method == "majority_vote" else "estimated"


def _metrics(ctx: Context, parts: Parts) -> MetricsByModel | None:
    judged = parts.evaluation.judged
    if judged is None:
        return None
    made: dict[str, Any] = {
        method: figures_of(ctx, parts.models, confusion) for method, confusion in judged.confusions.items()
    }
    return MetricsByModel(**made)


def _disagreement(ctx: Context, parts: Parts) -> Disagreement:
    counts = parts.labeled.counts.against_majority
    names = [*ctx.task.class_names, None]
    changed = counts - np.diag(np.diag(counts))
    order = sorted(zip(*np.nonzero(changed), strict=True), key=lambda place: (-changed[place], place))
    return Disagreement(
        rows=int(changed.sum()),
        fraction=float(changed.sum() / counts.sum()) if counts.any() else None,
        changes=tuple(
            Change(majority_vote=names[plain], label_model=names[ours], rows=int(changed[plain, ours]))
            for plain, ours in order
        ),
    )


def _annotator(ctx: Context, parts: Parts) -> AnnotatorFigures | None:
    if parts.annotated is None:
        return None
    facts, counts = parts.annotated.facts, parts.labeled.counts.annotated
    judged, baseline = parts.evaluation.judged, None
    if judged is not None and facts["baseline_rows"]:
        made = {name: figures_of(ctx, parts.models, confusion) for name, confusion in judged.baseline.items()}
        baseline = Baseline(rows=made["annotator"].rows, accuracy={name: m.accuracy for name, m in made.items()})
    return AnnotatorFigures(
        **{**facts, "models": tuple(facts["models"])},
        labeled=int(counts.sum()),
        changed=int(counts.sum() - np.trace(counts[:-1])),
        baseline=baseline,
    )


def _stages(ctx: Context) -> dict[str, StageFigures]:
    stages = {}
    for name, status in ctx.statuses.items():
        record = ctx.run.record(name)
        if record is not None:
            rate = record.rows / record.seconds if record.rows and record.seconds > 0 else None
            stages[name] = StageFigures(seconds=record.seconds, rows=record.rows, rows_per_s=rate, status=status)
    return stages


def _money(ctx: Context, parts: Parts) -> Money:
    return spending(
        ctx.task,
        ledger=ctx.run.path / "completions.sqlite",
        programs=[provenance(program) for program in parts.admitted.programs.programs],
        num_rows=parts.corpus.counts.rows,
        text_bytes=parts.corpus.counts.text_bytes,
        annotator={} if parts.annotated is None else parts.annotated.facts,
    )


def _synthesis(ctx: Context) -> SynthesisFigures | None:
    record = ctx.run.record("synthesis")
    return None if record is None else SynthesisFigures(**record.result["figures"])
