"""The corpus: planned into shards, then indexed: ids checked, rows put on one side of the split."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from engine.errors import ConfigError
from engine.stages.context import Context
from engine.store import digest_of
from engine.task import LabelingTask
from operators.corpus.files import common_folder
from operators.corpus.plan import Shard, plan_shards
from operators.duplicates import ROWS_A_CLASS, FindDuplicateIds
from operators.errors import InputError
from operators.rows import IndexShard, RowCounts, SplitRule, read_counts, rows_path, without

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


def plan(task: LabelingTask, *, skipped: dict[str, str] | None = None) -> list[Shard]:
    """Cut the corpus of a task into shards and check that its columns are there; no row is kept in memory.

    Args:
        task: whose corpus it is.
        skipped: takes {path: why} of files that cannot be read; without it they are errors.

    Raises:
        InputError: a file or a column is missing, or cannot be read.
    """
    columns, data = task.columns, task.data
    wanted = [columns.text, columns.id, columns.gold, columns.group, data.split_column]
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
                sized=[columns.text] if columns.id is None else [columns.text, columns.id],
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


def index(ctx: Context) -> Corpus:
    """Plan the corpus, check ids and splits, and write the row files.

    Raises:
        InputError: as `plan`; an id is missing, or a split value is unknown.
        ConfigError: an id stands in more than one row, or the train split is empty.
    """
    start = time.perf_counter()
    task, folder = ctx.task, ctx.run.path
    unread: dict[str, str] | None = {} if task.data.on_bad_shard == "skip" else None
    shards = tuple(plan(task, skipped=unread))
    rule = SplitRule(
        column=task.data.split_column,
        train_values=task.data.train_values,
        test_values=task.data.test_values,
        fraction=task.data.test_fraction if task.data.source else 0.0,
    )
    splits = [rule.column, rule.train_values, rule.test_values, rule.fraction]
    rows = digest_of("rows", 1, task.columns.id, task.columns.text, splits)
    keys = [shard.key for shard in shards]
    digest = digest_of("index", 2, rows, keys, [shard.split for shard in shards], task.data.on_bad_shard, unread)
    known = ctx.run.record("index")
    bad: dict[str, dict[str, str]] = known.result.get("bad_pieces", {}) if known and known.digest == digest else {}
    complete = not _lacking(_left(shards, bad), folder, rows)
    record = ctx.reuse("index", digest, complete=complete)
    if record is not None:
        corpus = _corpus(shards, rows, bad, unread, counts=RowCounts(**record.result["counts"]))
        return _checked(ctx, corpus)
    args = {
        "folder": str(folder),
        "digest": rows,
        "text": task.columns.text,
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
        _refuse_mixed_ids(ctx, corpus)
        _refuse_duplicates(ctx, corpus)
    if counts.rows == counts.test_rows:
        raise ConfigError(
            f"all {counts.rows} rows are test rows, so there is nothing to label from; "
            "check `data.split_column`, `data.test` and `data.test_fraction`"
        )
    result = {"counts": {name: getattr(counts, name) for name in RowCounts.__slots__}, "bad_pieces": bad}
    ctx.finish("index", digest=digest, since=start, rows=sum(s.num_rows for s in missing), result=result)
    return _checked(ctx, corpus)


def _lacking(shards: Sequence[Shard], folder: Path, rows: str) -> list[Shard]:
    return [shard for shard in shards if not rows_path(folder, shard.key, rows).exists()]


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
    folder: Path | None = None,
) -> Corpus:
    """Leave out what could not be read, and count the rest unless that was done."""
    good = _left(shards, bad)
    if not good:
        first = next(iter(next(iter(bad.values())).values()))
        raise InputError(f"no part of the corpus could be read; the first: {first}")
    if counts is None:
        assert folder is not None  # the rows to count are there
        counts = sum((read_counts(rows_path(folder, shard.key, rows)) for shard in good), start=RowCounts())
    skipped = dict(unread or {})
    for shard in shards:
        for number, why in bad.get(shard.key, {}).items():
            piece = shard.pieces[int(number)]
            skipped[f"{piece.path}, rows {piece.first_row} to {piece.first_row + piece.num_rows - 1}"] = why
    return Corpus(shards=good, rows=rows, counts=counts, skipped=skipped)


def _checked(ctx: Context, corpus: Corpus) -> Corpus:
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


def _refuse_mixed_ids(ctx: Context, corpus: Corpus) -> None:
    kinds: dict[str, str] = {}
    for shard in corpus.shards:
        kind = str(pq.read_schema(rows_path(ctx.run.path, shard.key, corpus.rows)).field("id").type)
        kinds.setdefault(kind, shard.pieces[0].path)
    if len(kinds) > 1:
        found = " and ".join(f"{kind} in {path}" for kind, path in kinds.items())
        raise ConfigError(f"the ids in column {ctx.task.columns.id!r} are {found}; give all rows ids of one type")


def _refuse_duplicates(ctx: Context, corpus: Corpus) -> None:
    classes = -(-corpus.counts.rows // ROWS_A_CLASS)
    args = {
        "folder": str(ctx.run.path),
        "digest": corpus.rows,
        "shard_keys": corpus.keys,
        "num_classes": classes,
    }
    files = {s.key: s.files() for s in corpus.shards}
    for result in ctx.stream("index", [str(c) for c in range(classes)], FindDuplicateIds, step_args=args):
        twice = json.loads(result)
        if twice:
            name, keys = twice[0]
            where = " and ".join(dict.fromkeys(files[key] for key in keys))
            more = f" (and {len(twice) - 1} more ids)" if len(twice) > 1 else ""
            raise ConfigError(
                f"{where}: id {name} stands in {len(keys)} rows{more}; an id names one row. Use another column in "
                "`columns.id`, or leave it out to number the rows"
            )
