"""A sample of the training rows of a corpus: the same on every machine, spread over all of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.corpus.records import Fields
from operators.rows import rows_path
from operators.storage import Folder, read_table

_SHARDS = 8
"""Read at most; a shard is a few megabytes, so a sample costs a second whatever the size of the corpus."""


def sample_texts(
    shards: Sequence[Shard], *, folder: Folder, digest: str, text: str | Fields, id_column: str | None, num_rows: int
) -> pa.Array:
    """Take texts from places spread evenly over the corpus, nulls and test rows left out.

    Args:
        shards: of the corpus, all of them indexed.
        folder: of the run's shards.
        digest: in the names of the row files.
        text: column with the text, or the fields that make it up.
        id_column: column with the ids, or None.
        num_rows: at most so many; all rows where there are fewer.

    Returns:
        large_string, in the order of the corpus.

    Raises:
        InputError: a shard cannot be read.
    """
    parts: list[pa.Array] = []
    left = num_rows
    order = _spread_first(len(shards))
    for place, number in enumerate(order):
        # Short shards leave their share to those that come after.
        share = -(-left // max(1, min(_SHARDS, len(order)) - place))
        texts = _usable(shards[number], folder=folder, digest=digest, text=text, id_column=id_column)
        parts.append(texts.take(pa.array(_spread(len(texts), share))))
        left -= len(parts[-1])
        if left <= 0:
            break
    sampled = [part for _, part in sorted(zip(order, parts, strict=False), key=lambda entry: entry[0])]
    return pa.concat_arrays(sampled) if sampled else pa.array([], pa.large_string())


def _spread_first(count: int) -> list[int]:
    """Order numbers below `count` so that some spread over all of them come first, then the others."""
    first = [int(number) for number in _spread(count, _SHARDS)]
    return first + sorted(set(range(count)) - set(first))


def _spread(count: int, wanted: int) -> npt.NDArray[np.int64]:
    """Return at most `wanted` different numbers below `count`, at even distances."""
    if count <= wanted:
        return np.arange(count, dtype=np.int64)
    return np.arange(wanted, dtype=np.int64) * count // wanted


def _usable(shard: Shard, *, folder: Folder, digest: str, text: str | Fields, id_column: str | None) -> pa.Array:
    rows = read_table(rows_path(folder, shard.key, digest), columns=["is_test", "null_text"])
    kept = ~(rows.column("is_test").to_numpy() | rows.column("null_text").to_numpy())
    texts = read_shard(shard, text=text, id=id_column).column("text").combine_chunks()
    # A row that is seen by people may have nothing for programs: an image that cannot be read.
    return texts.filter(pa.array(kept)).drop_null()
