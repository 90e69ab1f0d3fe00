"""The corpus: planned into shards, then indexed: ids checked, rows put on one side of the split."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.errors import ConfigError
from engine.stages.context import Context
from engine.stages.ids import refuse_duplicates, refuse_mixed_ids
from engine.stages.inputs import Input, Inputs, given
from engine.stages.rows import columns_read, text_key, text_of
from engine.store import digest_of
from engine.task import LabelingTask
from operators.corpus.files import common_folder
from operators.corpus.plan import Shard, plan_shards
from operators.errors import InputError
from operators.rows import IndexShard, RowCounts, SplitRule, read_counts, rows_path, without
from operators.storage import Folder, map_files, names_in

_NAMED = 20
"""Skipped parts that get a line each; of a hundred thousand files many may be bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A planned and indexed corpus.

    Attributes:
        shards: in the order of the data.
        rows: digest in the names of the row files; covers the id column and the split.
        counts: over all shards.
        skipped: {path: why} of files, or parts of them, that could not be read and were left out.
    """

    shards: tuple[Shard, ...]
    rows: str
    counts: RowCounts
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the shards."""
        return tuple(shard.key for shard in self.shards)

    def as_inputs(self) -> tuple[Input, Input]:
        """Return the corpus as what a stage's result follows from."""
        return (
            Input(name="the rows", value=self.rows, made_by=("index",)),
            Input(name="the shards", value=self.keys, made_by=("index",)),
        )


def plan(task: LabelingTask, *, skipped: dict[str, str] | None = None) -> list[Shard]:
    """Cut the corpus of a task into shards and check that its columns are there; no row is kept in memory.

    Args:
        task: whose corpus it is.
        skipped: takes {path: why} of files that cannot be read; without it they are errors.

    Raises:
        InputError: a file or a column is missing, or cannot be read.
    """
    columns, data = task.columns, task.data
    others = (columns.id, columns.gold, columns.group, columns.nuisance, data.split_column)
    wanted = [*columns_read(task), *others]
    names = list(dict.fromkeys(name for name in wanted if name is not None))
    base = common_folder([*data.source, *data.train, *data.test])
    splits = ((data.source, None), (data.train, "train"), (data.test, "test"))
    shards: list[Shard] = []
    for files, split in splits:
        if files:
            shards += plan_shards(
                files,
                max_rows=task.shards.max_rows,
                max_bytes=task.shards.max_bytes,
                columns=names,
                # Neither gold nor groups may move a cut: naming them later must not cost the votes.
                sized=[*columns_read(task), *([] if columns.id is None else [columns.id])],
                split=split,
                base=base,
                skipped=skipped,
            )
    _refuse_overlap(shards)
    return shards


def _refuse_overlap(shards: Sequence[Shard]) -> None:
    paths = {split: {p.path for s in shards if s.split == split for p in s.pieces} for split in ("train", "test")}
    both = sorted(paths["train"] & paths["test"])
    if both:
        raise ConfigError(
            f"{both[0]} is both in `data.train` and in `data.test` ({len(both)} files are); the model would be tested "
            "on rows that it was trained on. Name each file once"
        )


def with_memory(ctx: Context, data: Any) -> LabelingTask:
    """Write rows in memory beside the shard files, and return the task over them."""
    from operators.corpus.memory import to_parquet

    if ctx.task.data.train:
        raise ConfigError("rows in memory stand for `data.source`, and this task names `data.train`")
    ctx.session()
    paths = to_parquet(data, ctx.run.shards / "input")
    return ctx.task.model_copy(update={"data": ctx.task.data.model_copy(update={"source": tuple(paths)})})


def index(ctx: Context) -> Corpus:
    """Plan the corpus, check ids and splits, and write the row files.

    Raises:
        InputError: as `plan`; an id is missing, or a split value is unknown.
        ConfigError: an id stands in more than one row, or the train split is empty.
    """
    start = time.perf_counter()
    task, folder = ctx.task, ctx.run.shards
    unread: dict[str, str] | None = {} if task.data.on_bad_shard == "skip" else None
    shards = tuple(plan(task, skipped=unread))
    ctx.shards = {shard.key: shard for shard in shards}
    rule = SplitRule(
        column=task.data.split_column,
        train_values=task.data.train_values,
        test_values=task.data.test_values,
        fraction=task.data.test_fraction if task.data.source else 0.0,
    )
    splits = [rule.column, rule.train_values, rule.test_values, rule.fraction]
    rows = digest_of("rows", 1, task.columns.id, text_key(task), splits)
    keys = [shard.key for shard in shards]
    inputs = Inputs(
        stage="index",
        version=(2,),
        parts=(
            Input(
                name="the columns",
                value=rows,
                settings={
                    "`columns.id`": task.columns.id,
                    "`columns.text`": text_key(task),
                    "the split": splits,
                },
            ),
            Input(name="the files", value=keys, things=_files(shards)),
            Input(name="", value=[shard.split for shard in shards]),
            given("`data.on_bad_shard`", task.data.on_bad_shard),
            Input(name="which files cannot be read", value=unread),
        ),
    )
    known = ctx.run.record("index")
    same = known is not None and known.digest == inputs.digest
    bad: dict[str, dict[str, str]] = known.result.get("bad_pieces", {}) if known is not None and same else {}
    complete = not _lacking(_left(shards, bad), folder, rows)
    record = ctx.reuse(inputs, complete=complete)
    if record is not None:
        corpus = _corpus(shards, rows, bad, unread, counts=RowCounts(**record.result["counts"]))
        return _checked(ctx, corpus)
    args = {
        "folder": str(folder),
        "digest": rows,
        "text": text_of(task),
        "id_column": task.columns.id,
        "split": rule,
        "skip_bad": unread is not None,
    }
    bad = {}
    missing = _lacking(shards, folder, rows)
    for told in ctx.stream("index", [shard.to_json() for shard in missing], IndexShard, step_args=args):
        done = json.loads(told)
        if done["skipped"]:
            bad[done["key"]] = done["skipped"]
    corpus = _corpus(shards, rows, bad, unread, counts=None, folder=folder)
    counts = corpus.counts
    if task.columns.id is not None:
        refuse_mixed_ids(ctx, corpus)
        refuse_duplicates(ctx, corpus)
    if counts.rows == counts.test_rows:
        raise ConfigError(
            f"all {counts.rows} rows are test rows, so there is nothing to label from; "
            "check `data.split_column`, `data.test` and `data.test_fraction`"
        )
    result = {"counts": {name: getattr(counts, name) for name in RowCounts.__slots__}, "bad_pieces": bad}
    ctx.finish(
        inputs,
        since=start,
        rows=sum(s.num_rows for s in missing),
        result=result,
        scope=f"{len(missing)} of {len(shards)} shards",
    )
    return _checked(ctx, corpus)


def _files(shards: Sequence[Shard]) -> dict[str, str]:
    """Return {file: digest of it}; where the cuts are is left out, as a file that grows may move its neighbours'."""
    pieces = ((piece, shard.split) for shard in shards for piece in shard.pieces)
    return {piece.name: digest_of(piece.path, piece.size, piece.stamp, split) for piece, split in pieces}


def _lacking(shards: Sequence[Shard], folder: Folder, rows: str) -> list[Shard]:
    present = names_in(folder / "rows")
    return [shard for shard in shards if rows_path(folder, shard.key, rows).name not in present]


def _left(shards: Sequence[Shard], bad: dict[str, dict[str, str]]) -> tuple[Shard, ...]:
    """Leave out the pieces that could not be read."""
    left = (without(s, [int(number) for number in bad[s.key]]) if s.key in bad else s for s in shards)
    return tuple(shard for shard in left if shard is not None)


def _corpus(
    shards: tuple[Shard, ...],
    rows: str,
    bad: dict[str, dict[str, str]],
    unread: dict[str, str] | None,
    *,
    counts: RowCounts | None,
    folder: Folder | None = None,
) -> Corpus:
    """Leave out what could not be read, and count the rest unless that was done."""
    good = _left(shards, bad)
    if not good:
        first = next(iter(next(iter(bad.values())).values()))
        raise InputError(f"no part of the corpus could be read; the first: {first}")
    if counts is None:
        assert folder is not None  # the rows to count are there
        paths = [rows_path(folder, shard.key, rows) for shard in good]
        counts = sum(map_files(read_counts, paths), start=RowCounts())
    skipped = dict(unread or {})
    for shard in shards:
        for number, why in bad.get(shard.key, {}).items():
            piece = shard.pieces[int(number)]
            skipped[f"{piece.path}, rows {piece.first_row} to {piece.first_row + piece.num_rows - 1}"] = why
    return Corpus(shards=good, rows=rows, counts=counts, skipped=skipped)


def _checked(ctx: Context, corpus: Corpus) -> Corpus:
    ctx.shards = {shard.key: shard for shard in corpus.shards}
    corpus = replace(corpus, skipped=ctx.skipped | corpus.skipped)
    for where, why in list(corpus.skipped.items())[:_NAMED]:
        ctx.warn(f"skipped {where}: {why}")
    if len(corpus.skipped) > _NAMED:
        ctx.warn(f"skipped {len(corpus.skipped) - _NAMED} more files or parts of files; report.json names them all")
    if corpus.counts.null_texts:
        ctx.warn(
            f"{corpus.counts.null_texts} rows have a null text in column {ctx.task.columns.text!r}, or lack it in JSON "
            "lines; no program sees them, and they stay uncovered"
        )
    return corpus
