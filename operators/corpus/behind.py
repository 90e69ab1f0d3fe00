"""The images behind a table of paths: their sizes and times, so that a changed or late image is noticed as a file is.

A plan knows the table alone. Nothing is opened here but the table's column of paths, and the file system is asked once
an image, which takes some microseconds on a local disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pyarrow.parquet as pq
import pyarrow.types as pt

from operators.corpus.images import FORMAT, ImageColumn
from operators.corpus.opening import close_last
from operators.corpus.pieces import Piece
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.fetch import place_of

_THREADS = 8
"""On a network file system each answer takes a round trip."""

_UNDER_WAY = 2 * _THREADS
"""Shards whose paths are in memory at a time."""


def watched(shards: Sequence[Shard], *, column: str) -> list[Shard]:
    """Put the state of the images that local tables name by local paths into the keys of their shards.

    Shards of other images keep their keys: of a folder the plan knows each file, encoded images are in the table, and
    whoever owns a URL is not asked.

    Args:
        shards: as planned.
        column: with the paths.

    Raises:
        InputError: a table cannot be read, or changed since it was planned.
    """
    kinds: dict[str, bool] = {}
    keys: list[str | Future[str]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            for number, shard in enumerate(shards):
                if not any(_names_paths(piece, column, kinds) for piece in shard.pieces):
                    keys.append(shard.key)
                    continue
                # Tables are read in order, for which readers keep them open; what is asked at a time is bounded.
                keys.append(pool.submit(_key, shard.key, _places(shard, column)))
                if number >= _UNDER_WAY and isinstance(earlier := keys[number - _UNDER_WAY], Future):
                    keys[number - _UNDER_WAY] = earlier.result()
        finally:
            close_last()
        found = (key.result() if isinstance(key, Future) else key for key in keys)
        return [replace(shard, key=key) for shard, key in zip(shards, found, strict=True)]


def _names_paths(piece: Piece, column: str, known: dict[str, bool]) -> bool:
    """Whether a table's images are files that the table names; asked once a table."""
    if piece.format == FORMAT or "://" in piece.path:
        return False
    if piece.path not in known:
        known[piece.path] = piece.format != "parquet" or _is_text(piece.path, column)
    return known[piece.path]


def _is_text(path: str, column: str) -> bool:
    kind = pq.read_schema(path).field(column).type
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def _places(shard: Shard, column: str) -> list[str]:
    places = []
    for piece in shard.pieces:
        one = Shard.of([piece], split=shard.split)
        names = read_shard(one, text=ImageColumn(column=column), id=None).column("text").to_pylist()
        places += [place_of(name, beside=piece.path) if name else "" for name in names]
    return places


def _key(key: str, places: Sequence[str]) -> str:
    digest = hashlib.sha256(key.encode())
    for place in places:
        digest.update(_state(place).encode() + b"\0")
    return digest.hexdigest()[:16]


def _state(path: str) -> str:
    if not path or "://" in path:
        return ""
    try:
        stat = os.stat(path)  # noqa: PTH116 - a table may name a million
    except (OSError, ValueError):
        # Missing, not to be reached, or no path at all: reading it says why, and is a fault of its row.
        return "absent"
    return f"{stat.st_size}-{stat.st_mtime_ns}"
