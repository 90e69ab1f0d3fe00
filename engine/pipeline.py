"""The order of the stages, and what is done around them. A function that calls nine functions says so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.doctor import versions
from engine.reporting.report import Report
from engine.stages.admission import admit
from engine.stages.annotate import annotate
from engine.stages.card import origin_of, write_card
from engine.stages.context import Context
from engine.stages.corpus import index, with_memory
from engine.stages.distill import distill, predict
from engine.stages.evaluate import evaluate
from engine.stages.fit import fit
from engine.stages.image_baselines import compare
from engine.stages.label import label
from engine.stages.nuisance import follow
from engine.stages.predictions import predict_files
from engine.stages.programs import collect
from engine.stages.report import report
from engine.stages.report_parts import Parts
from engine.stages.score import score
from engine.stages.stream import Silent, Watch
from engine.stages.votes import apply
from engine.storage import place_shards, shards_of
from engine.store import RunDirectory, StageStatus
from engine.task import LabelingTask
from operators.storage import map_files, read_table

STAGES = (
    "score",
    "index",
    "synthesis",
    "admission",
    "apply",
    "fit",
    "annotate",
    "label",
    "distill",
    "predict",
    "evaluate",
    "report",
)
"""In the order they run; `run(until=...)` takes one of these. `score` is for images alone."""

UNFINISHED = 4
"""Exit code of a run that finished without programs that were quarantined, or parts of the corpus that were skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to.

    Attributes:
        run: the run directory.
        statuses: {stage: "computed" or "reused"}.
        reasons: {stage: why it was computed and how much of it, or "reused"}.
        report: None where the run was told to stop before it.
        quarantined: {program: why}.
        skipped: {part of the corpus: why it could not be read}.
        warnings: what the user should know.
    """

    run: Path
    statuses: dict[str, StageStatus]
    reasons: dict[str, str]
    report: Report | None
    quarantined: dict[str, str]
    skipped: dict[str, str]
    warnings: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0, or 4 where programs were quarantined or parts of the corpus skipped."""
        return UNFINISHED if self.quarantined or self.skipped else 0

    def labels(self) -> Any:
        """Return the soft labels as a pandas frame, rows in the order of the data; for corpora that fit in memory."""
        content = json.loads((self.run / "run.json").read_text(encoding="utf-8"))
        folder = shards_of(self.run, content["storage"]) / "labels"
        paths = [folder / name for name in content["stages"]["label"]["result"]["files"]]
        return pa.concat_tables(map_files(read_table, paths)).to_pandas()

    def to_json(self) -> dict[str, Any]:
        """Return what `alchemist run --json` prints."""
        return {
            "run": str(self.run),
            "statuses": dict(self.statuses),
            "reasons": dict(self.reasons),
            "quarantined": self.quarantined,
            "skipped": self.skipped,
            "warnings": list(self.warnings),
            "report": None if self.report is None else self.report.to_json(),
        }


def run(
    task: LabelingTask,
    *,
    out: str | Path,
    data: Any = None,
    address: str | None = None,
    storage: str | None = None,
    until: str = "report",
    watch: Watch | None = None,
) -> RunResult:
    """Do every stage that is not done yet, in order.

    Args:
        task: what to label; `engine.task_file.read_task` reads one from a file.
        out: the run directory; a run that was interrupted goes on there.
        data: rows in memory instead of the task's files: a pandas frame, a Hugging Face dataset or a
            `ray.data.Dataset`; written beside the shard files first.
        address: of a Ray cluster, None for this machine; a Ray that this process has started is used as it is.
        storage: where shard files go, a path that all nodes see or an fsspec URL, before what the task says; None for
            the task's, which is the run directory unless told.
        until: the last stage to do, one of `STAGES`.
        watch: told about progress.

    Raises:
        EngineError, OperatorError: their messages say what to do.
    """
    if until not in STAGES:
        raise ValueError(f"until must be one of {', '.join(STAGES)}, got {until!r}")
    with ExitStack() as stack:
        directory = stack.enter_context(RunDirectory(out))
        ctx = Context(
            task=task,
            run=directory,
            address=address,
            watch=watch or Silent(),
            stack=stack,
            versions=versions(),
        )
        directory.shards = place_shards(directory, storage or task.storage)
        if data is not None:
            ctx.task = with_memory(ctx, data)
        directory.note(task=ctx.task.model_dump(mode="json"))
        return _stages(ctx, until)


def _stages(ctx: Context, until: str) -> RunResult:
    quarantined: dict[str, str] = {}
    skipped: dict[str, str] = {}

    def result(report: Report | None = None) -> RunResult:
        return RunResult(
            run=ctx.run.path,
            statuses=dict(ctx.statuses),
            reasons=dict(ctx.reasons),
            report=report,
            quarantined=quarantined,
            skipped=skipped,
            warnings=tuple(ctx.warnings),
        )

    if ctx.task.modality == "image":
        ctx.task = score(ctx)
    if until == "score":
        return result()
    corpus = index(ctx)
    skipped = corpus.skipped
    if until == "index":
        return result()
    programs = collect(ctx, corpus)
    if until == "synthesis":
        return result()
    admitted = admit(ctx, corpus, programs)
    programs = admitted.programs
    if until == "admission":
        return result()
    voted = apply(ctx, corpus, programs)
    quarantined = voted.quarantined
    if until == "apply":
        return result()
    models = fit(ctx, programs, voted)
    for warning in models.chosen.warnings:
        ctx.warn(f"label model: {warning}")
    if until == "fit":
        return result()
    annotated = annotate(ctx, corpus, voted, models)
    if until == "annotate":
        return result()
    labeled = label(ctx, corpus, voted, models, annotated)
    if until == "label":
        return result()
    origin = origin_of(ctx, corpus, programs, voted, models, annotated, labeled)
    end_model = distill(ctx, corpus, labeled.digest, origin=origin)
    if until == "distill":
        return result()
    predictions = predict(ctx, corpus, end_model)
    if until == "predict":
        return result()
    evaluation = evaluate(ctx, corpus, voted, models, predictions=predictions, annotated=annotated)
    write_card(ctx, end_model, origin, evaluation, models)
    comparison = None if ctx.concepts is None else compare(ctx, evaluation, models)
    if until == "evaluate":
        return result()
    parts = Parts(
        corpus=corpus,
        admitted=admitted,
        voted=voted,
        models=models,
        annotated=annotated,
        labeled=labeled,
        end_model=end_model,
        predictions=predictions,
        evaluation=evaluation,
        comparison=comparison,
        nuisance=follow(ctx, corpus, voted, labeled, predictions=predictions),
    )
    return result(report(ctx, parts))


def predict_corpus(
    model: str | Path,
    data: Sequence[str],
    *,
    out: str | Path,
    text: str | None = None,
    image: str | None = None,
    id_column: str | None = None,
    address: str | None = None,
    storage: str | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Apply a distilled model to a corpus; what an earlier, interrupted call wrote is kept.

    Returns:
        {"rows", "shards", "reused", "out"}, and of images "unreadable", how many could not be read.
    """
    return predict_files(
        Path(model),
        data,
        out=Path(out),
        text=text,
        image=image,
        id_column=id_column,
        address=address,
        watch=watch or Silent(),
        storage=storage,
    )
