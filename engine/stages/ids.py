"""Ids of an indexed corpus: of one type, and each of one row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from engine.errors import ConfigError
from engine.stages.context import Context
from operators.duplicates import ROWS_A_CLASS, FindDuplicateIds
from operators.rows import rows_path
from operators.storage import map_files, read_schema

if TYPE_CHECKING:
    from engine.stages.corpus import Corpus


def refuse_mixed_ids(ctx: Context, corpus: Corpus) -> None:
    """Refuse ids of more than one type.

    Raises:
        ConfigError: files differ in it.
    """
    kinds: dict[str, str] = {}
    paths = [rows_path(ctx.run.shards, shard.key, corpus.rows) for shard in corpus.shards]
    for shard, schema in zip(corpus.shards, map_files(read_schema, paths), strict=True):
        kinds.setdefault(str(schema.field("id").type), shard.pieces[0].path)
    if len(kinds) > 1:
        found = " and ".join(f"{kind} in {path}" for kind, path in kinds.items())
        raise ConfigError(f"the ids in column {ctx.task.columns.id!r} are {found}; give all rows ids of one type")


def refuse_duplicates(ctx: Context, corpus: Corpus) -> None:
    """Refuse an id that names more than one row; workers look, class by class of a hash, so that none sees them all.

    Raises:
        ConfigError: one stands in several rows.
    """
    classes = -(-corpus.counts.rows // ROWS_A_CLASS)
    args = {
        "folder": str(ctx.run.shards),
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
