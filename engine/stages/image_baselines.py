"""Programs beside prompting: the table that says whether programs over concepts were worth their while.

Zero-shot prompting takes the class whose prompt fits an image best, group prompting has prompts that name groups as
well; both come from the embeddings that are there. The table stands in the report and in run.json under `comparison`:
accuracy, the worst group with its name and size, and the gap between the two, for any data with a group column.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from engine.metrics import Metrics, figures
from engine.reporting.images import ComparisonLine
from engine.stages.context import Context
from engine.stages.evaluate import Evaluation
from engine.stages.fit import Models
from engine.stages.score import GROUP_PROMPTS, ZERO_SHOT
from operators.confusion import Confusion
from operators.corpus.plan import Shard
from operators.evaluate import gold_indices, name_of
from operators.schema import ABSTAIN
from operators.storage import folder_of, read_schema, read_table

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
    counted = {name: Confusion.zero(k) for name in names}
    here = Shard.of([], split="test")
    wanted = ["id", "split", "gold", *(["group"] if task.columns.group else []), *names]
    for path in paths:
        table = read_table(path, wanted)
        table = table.filter(np.array(table.column("split").to_pylist()) == "test")
        gold = gold_indices(
            table.column("gold").to_pylist(),
            table.column("id").to_pylist(),
            here,
            column="gold",
            index=task.gold_index(),
        )
        known = gold != ABSTAIN
        groups = None
        if task.columns.group is not None:
            values = [name_of(value) for value in table.column("group").to_pylist()]
            groups = [value for value, good in zip(values, known, strict=True) if good]
        for name in names:
            answers = np.array(table.column(name).fill_null(ABSTAIN).to_pylist(), np.int8)[known]
            soft = np.full((len(answers), k), 1 / k)
            soft[answers != ABSTAIN] = np.eye(k)[answers[answers != ABSTAIN]]
            counted[name] += Confusion.of(gold[known], answers, soft, answers != ABSTAIN, groups=groups)
    return counted
