"""Programs beside prompting: the table that says whether programs over concepts were worth their while.

Zero-shot prompting takes the class whose prompt fits an image best, group prompting has prompts that name groups as
well; both come from the embeddings that are there. Programs on raw pixels, where the task names some, are run for it.
The table stands in the report and in run.json under `comparison`: accuracy, the worst group with its name and size, and
the gap between the two, for any data with a group column.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.metrics import Metrics, figures
from engine.reporting.images import ComparisonLine
from engine.stages.context import Context
from engine.stages.descriptions import GROUP_PROMPTS, ZERO_SHOT
from engine.stages.evaluate import Evaluation
from engine.stages.fit import Models
from engine.stages.pixels import pixel_votes
from engine.task import LabelingTask
from operators.confusion import Confusion
from operators.corpus.plan import Shard
from operators.evaluate import gold_indices, name_of
from operators.posterior import Evidence, hard_labels, soft_labels
from operators.schema import ABSTAIN
from operators.storage import folder_of, read_schema, read_table

PIXEL_PROGRAMS = "pixel_programs"

logger = logging.getLogger(__name__)


def compare(ctx: Context, evaluation: Evaluation, models: Models) -> dict[str, ComparisonLine] | None:
    """Put baselines and programs side by side on the test rows; None without gold. Noted in run.json."""
    if evaluation.judged is None:
        ctx.run.note(comparison=None)
        return None
    largest = int(np.argmax(models.chosen.evidence.prior))
    made = {
        name: figures(
            confusion,
            class_names=ctx.task.class_names,
            positive_class=ctx.task.positive_class,
            largest_prior=largest,
        )
        for name, confusion in (_baselines(ctx) | evaluation.judged.confusions).items()
    }
    table = side_by_side(made)
    ctx.run.note(comparison={name: asdict(line) for name, line in table.items()})
    logger.info("comparison: %s", "; ".join(f"{name} {line.accuracy:.3f}" for name, line in table.items()))
    return table


def side_by_side(made: Mapping[str, Metrics]) -> dict[str, ComparisonLine]:
    """Make the lines of the table from figures on the same rows, in their order."""
    gaps = {
        name: None if metrics.worst_group is None else metrics.accuracy - metrics.worst_group.accuracy
        for name, metrics in made.items()
    }
    plain = gaps.get(ZERO_SHOT)
    return {
        name: ComparisonLine(
            rows=metrics.rows,
            accuracy=metrics.accuracy,
            accuracy_low=metrics.accuracy_low,
            accuracy_high=metrics.accuracy_high,
            worst_group=metrics.worst_group,
            gap=gap,
            gap_change=None if name == ZERO_SHOT or gap is None or plain is None else gap - plain,
        )
        for (name, metrics), gap in zip(made.items(), gaps.values(), strict=True)
    }


def _baselines(ctx: Context) -> dict[str, Confusion]:
    """Count the answers of each baseline, file by file."""
    task, k = ctx.task, ctx.task.num_classes
    paths = [folder_of(path) for path in task.data.source]
    present = read_schema(paths[0]).names
    names = [name for name in (ZERO_SHOT, GROUP_PROMPTS) if name in present]
    pixels = pixel_votes(ctx)
    counted = {name: Confusion.zero(k) for name in (*names, *([] if pixels is None else [PIXEL_PROGRAMS]))}
    wanted = ["id", "split", "gold", *(["group"] if task.columns.group else []), *names]
    for path in task.data.source:
        table = read_table(folder_of(path), wanted)
        gold, groups = _gold(task, table)
        known = gold != ABSTAIN
        for name in names:
            answers = np.array(table.column(name).fill_null(ABSTAIN).to_pylist(), np.int8)
            counted[name] += _counted(gold, answers[:, None], groups, known, k)
        if pixels is not None:
            votes = read_table(pixels.paths[path], list(pixels.names))
            matrix = np.column_stack([votes.column(name).to_numpy() for name in pixels.names])
            counted[PIXEL_PROGRAMS] += _counted(gold, matrix, groups, known, k)
    return counted


def _gold(task: LabelingTask, table: pa.Table) -> tuple[npt.NDArray[np.int64], list[str | None] | None]:
    """Return gold and groups of scored rows; of train rows, gold is left out."""
    values, ids = table.column("gold").to_pylist(), table.column("id").to_pylist()
    is_test = np.array(table.column("split").to_pylist()) == "test"
    values = [value if test else None for value, test in zip(values, is_test.tolist(), strict=True)]
    gold = gold_indices(values, ids, Shard.of([], split="test"), column="gold", index=task.gold_index())
    if task.columns.group is None:
        return gold, None
    return gold, [name_of(value) for value in table.column("group").to_pylist()]


def _counted(
    gold: npt.NDArray[np.int64],
    votes: npt.NDArray[np.int8],
    groups: list[str | None] | None,
    known: npt.NDArray[np.bool_],
    num_classes: int,
) -> Confusion:
    """Count the majority of (n, m) votes on the rows that are known; one answer is its own majority."""
    kept = None if groups is None else [group for group, good in zip(groups, known.tolist(), strict=True) if good]
    table = np.broadcast_to(np.eye(num_classes + 1, num_classes), (votes.shape[1], num_classes + 1, num_classes))
    votes = votes[known]
    soft = soft_labels(votes, Evidence(table=table, prior=np.full(num_classes, 1 / num_classes)))
    labels, _ = hard_labels(soft, votes)
    return Confusion.of(gold[known], labels, soft, (votes != ABSTAIN).any(axis=1), groups=kept)
