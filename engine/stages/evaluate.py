"""Evaluation: gold labels beside majority vote, label model and distilled model, on the test rows alone."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass

import numpy as np

from engine.metrics import Metrics, figures
from engine.stages.annotate import Annotated
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.fit import Models
from engine.stages.inputs import Input, Inputs
from engine.stages.rows import text_of
from engine.stages.votes import Voted
from operators.confusion import Confusion
from operators.evaluate import EvaluateShard, Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What gold labels say.

    Attributes:
        judged: None where there are none.
        reason: why `judged` is None.
    """

    judged: Judged | None
    reason: str | None


def evaluate(
    ctx: Context, corpus: Corpus, voted: Voted, models: Models, *, predictions: str, annotated: Annotated | None
) -> Evaluation:
    """Count the test rows against gold, if the task names a gold column.

    Raises:
        InputError: a gold label is no class of the task.
    """
    start = time.perf_counter()
    task = ctx.task
    if task.columns.gold is None:
        return Evaluation(judged=None, reason="the task names no gold column (`columns.gold`)")
    if not corpus.counts.test_rows:
        reason = "there are no test rows; give `data.test`, or name all files in `data.source`"
        return Evaluation(judged=None, reason=reason)
    index = task.gold_index()
    columns = [task.columns.gold, task.columns.group, index]
    baseline = annotated.digest if annotated is not None and task.annotate.baseline_rows else None
    reads = {"`columns.gold`": task.columns.gold, "`columns.group`": task.columns.group, "the gold values": index}
    inputs = Inputs(
        stage="evaluate",
        version=(2,),
        parts=(
            *corpus.as_inputs(),
            Input(name="the label model", value=models.digest, made_by=("fit",)),
            Input(name="the predictions", value=predictions, made_by=("predict",)),
            Input(name="how gold is read", value=columns, settings=reads),
            Input(name="the annotator's baseline", value=baseline, made_by=("annotate",)),
        ),
    )
    record = ctx.reuse(inputs)
    if record is None:
        args = {
            "folder": str(ctx.run.shards),
            "rows": corpus.rows,
            "text": text_of(task),
            "id_column": task.columns.id,
            "gold": task.columns.gold,
            "group": task.columns.group,
            "gold_index": index,
            "program_keys": voted.keys,
            "majority": models.majority.evidence,
            "label_model": models.chosen.evidence,
            "predictions": predictions,
            "annotations": baseline,
        }
        judged = Judged.zero(len(voted.keys), task.num_classes)
        items = [shard.to_json() for shard in corpus.shards]
        for result in ctx.stream("evaluate", items, EvaluateShard, step_args=args):
            judged += Judged.from_bytes(result)
        content = base64.b64encode(judged.to_bytes()).decode()
        record = ctx.finish(inputs, since=start, rows=corpus.counts.test_rows, result={"judged": content})
    judged = Judged.from_bytes(base64.b64decode(record.result["judged"]))
    if judged.unlabeled == corpus.counts.test_rows:
        reason = f"column {task.columns.gold!r} has no gold label on any of {judged.unlabeled} test rows"
        return Evaluation(judged=None, reason=reason)
    return Evaluation(judged=judged, reason=None)


def figures_of(ctx: Context, models: Models, confusion: Confusion) -> Metrics:
    """Work out the figures of one way to a label, which takes a row without votes for the class of largest prior."""
    largest = int(np.argmax(models.chosen.evidence.prior))
    return figures(
        confusion, class_names=ctx.task.class_names, positive_class=ctx.task.positive_class, largest_prior=largest
    )
