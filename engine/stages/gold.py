"""Gold labels for fitting, where the task hands some over: read, voted on, and counted. Off unless asked for."""

from __future__ import annotations

import numpy as np

from engine.errors import ConfigError
from engine.label_model.gold import GoldCounts
from engine.stages.context import Context
from engine.stages.programs import ProgramSet
from engine.stages.rows import columns_read, seen_by_programs, text_of
from engine.stages.votes import Voted
from operators.corpus.files import common_folder
from operators.corpus.plan import plan_shards
from operators.corpus.read import read_shard
from operators.evaluate import gold_indices
from operators.rows import text_hash
from operators.sandbox.pool import Sandbox
from operators.schema import ABSTAIN

_MOST_ROWS = 10_000


def gold_counts(ctx: Context, programs: ProgramSet, voted: Voted) -> GoldCounts | None:
    """Let the programs vote on the rows of `label_model.gold` and count them against their labels.

    Returns:
        None where the task names no such rows.

    Raises:
        InputError: a file cannot be read, or a label is no class of the task.
        ConfigError: there are far too many rows, or none with a label.
    """
    task, spec, column = ctx.task, ctx.task.label_model, ctx.task.columns.gold
    if not spec.gold or column is None:
        return None
    shards = plan_shards(
        spec.gold,
        max_rows=task.shards.max_rows,
        max_bytes=task.shards.max_bytes,
        columns=[*columns_read(task), column],
        base=common_folder(spec.gold),
    )
    num_rows = sum(shard.num_rows for shard in shards)
    if num_rows > _MOST_ROWS:
        raise ConfigError(
            f"`label_model.gold` names {num_rows} rows, and {_MOST_ROWS} is the most: with so many labels train a "
            "model on them. Twenty to a hundred are meant"
        )
    texts, seen, gold = [], [], []
    for shard in shards:
        table = read_shard(shard, text=text_of(task), id=None, extra=[column])
        texts += table.column("text").to_pylist()
        seen += read_shard(shard, text=seen_by_programs(task), id=None).column("text").to_pylist()
        values, ids = table.column(column).to_pylist(), table.column("id").to_pylist()
        gold += gold_indices(values, ids, shard, column=column, index=task.gold_index()).tolist()
    labels = _without_test_rows(ctx, texts, np.array(gold, np.int64))
    if not (labels != ABSTAIN).any():
        raise ConfigError(f"no row of `label_model.gold` ({', '.join(spec.gold)}) has a label in column {column!r}")
    source = {key: program.source for key, program in zip(programs.keys, programs.programs, strict=True)}
    with Sandbox([source[k] for k in voted.keys], num_classes=task.num_classes, limits=programs.limits) as sandbox:
        votes = sandbox.run(seen, seed=0).votes
    counts = GoldCounts.of(votes, labels, task.num_classes)
    ctx.warn(f"the label model uses {counts.num_rows} gold labels, of `label_model.gold`")
    return counts


def _without_test_rows(ctx: Context, texts: list[str | None], gold: np.ndarray) -> np.ndarray:
    """Forget the labels of texts that the split by hash puts on the test side."""
    data = ctx.task.data
    if not data.source or data.split_column is not None or not data.test_fraction:
        return gold
    is_test = np.array([text_hash(text) < data.test_fraction for text in texts], bool)
    dropped = int((is_test & (gold != ABSTAIN)).sum())
    if dropped:
        ctx.warn(f"{dropped} rows of `label_model.gold` have the text of a test row and are not used for fitting")
    return np.where(is_test, ABSTAIN, gold)
