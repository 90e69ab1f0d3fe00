"""Rows that a program votes on, from the first shard that has its votes: enough to see what it takes for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from engine.errors import ConfigError
from engine.stages.corpus import plan
from engine.stages.library import Library
from engine.stages.program_list import Entry
from engine.stages.rows import text_of
from engine.stages.trials import program_key
from operators.corpus.read import read_shard
from operators.votes import VoteStore

_EXCERPT_CHARS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row to look at; `text` is its first characters, on one line."""

    id: str | int
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def voted_rows(library: Library, entry: Entry, *, count: int) -> Mapping[str, tuple[Row, ...]]:
    """Return so many rows of each class that a program votes for, by class name.

    Plans the corpus, which reads text files once.

    Raises:
        ConfigError: the run has no votes of this program, or its rows are images.
        InputError: the corpus cannot be read.
    """
    if library.task.modality == "image":
        raise ConfigError("rows are shown of texts and records; for images see the report and `scored/` of the run")
    key = "" if entry.digest is None else program_key(library.task, entry.digest)
    store, skipped = VoteStore(library.shards), dict[str, str]()
    shards = plan(library.task, skipped=skipped if library.task.data.on_bad_shard == "skip" else None)
    lacking = store.missing([shard.key for shard in shards], [key])
    shard = next((shard for shard in shards if shard.key not in lacking), None)
    if shard is None:
        raise ConfigError(f"the run has no votes of {entry.name} as it is now; `alchemist apply` computes them")
    votes, _ = store.read(shard.key, [key])
    table = read_shard(shard, text=text_of(library.task), id=library.task.columns.id)
    ids, texts = table.column("id"), table.column("text")
    found = {}
    for y, name in enumerate(library.task.class_names):
        places = np.flatnonzero(votes[:, 0] == y)[:count].tolist()
        found[name] = tuple(
            Row(id=ids[i].as_py(), text=" ".join((texts[i].as_py() or "").split())[:_EXCERPT_CHARS]) for i in places
        )
    return found
