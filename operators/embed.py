"""Rows of a shard to embeddings: fetched and decoded in threads while the model works on the rows before them.

The only pass over the images. What comes of it is kept in half precision by shard and featurizer, so that other
descriptions, classes or programs cost none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.commit import commit_table
from operators.corpus.images import FORMAT, ImageColumn, references
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.featurizer import FeaturizerSpec, checked
from operators.images import UnreadableRow, load
from operators.storage import Folder, folder_of

_AHEAD = 2
"""Chunks of rows that are prepared while one is embedded; more would only take memory."""

_CHUNK = 256
"""Rows handed to the featurizer at a time, of 150 kB each once they are prepared; it cuts them into its own batches."""

_THREADS = 8
"""Of one actor, where files are fetched from; decoders let go of Python's lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row before it is embedded.

    Attributes:
        id: of the row.
        name: of the image.
        data: its bytes, where the corpus holds them.
        path: else where they are.
        beside: the file that says so.
    """

    id: str | int
    name: str
    data: bytes | None
    path: str | None
    beside: str


class EmbedShard:
    """Step: write `embeddings/<shard>-<digest>.parquet`, in the order of the shard.

    Columns: id, image (its name), content (digest of its bytes, null where they cannot be had), embedding (list of d
    float16, null where the row cannot be read), fault (why it cannot, else null).
    """

    def __init__(
        self, *, folder: str, column: str, id_column: str | None, featurizer: FeaturizerSpec, digest: str
    ) -> None:
        self._folder = folder_of(folder)
        self._column = column
        self._id = id_column
        self._use = featurizer.use
        self._digest = digest
        self._featurizer = featurizer.make()
        self._pool = ThreadPoolExecutor(_THREADS)

    def __call__(self, item: str) -> bytes:
        """Embed shard `item`, a Shard as JSON; returns JSON {"rows", "faults"}.

        Raises:
            InputError: the shard cannot be read, or the featurizer gave no embeddings.
        """
        shard = Shard.from_json(item)
        rows = list(rows_of(shard, column=self._column, id_column=self._id))
        width = self._featurizer.num_features
        embeddings = np.zeros((len(rows), width), np.float16)
        contents: list[str | None] = []
        faults: list[str | None] = []
        chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
        # Submitted a few chunks ahead, so that threads have work while the model has.
        under_way = [self._submitted(chunk) for chunk in chunks[:_AHEAD]]
        for number in range(len(chunks)):
            prepared = [future.result() for future in under_way.pop(0)]
            if number + _AHEAD < len(chunks):
                under_way.append(self._submitted(chunks[number + _AHEAD]))
            start = number * _CHUNK
            good = [place for place, (_, _, fault) in enumerate(prepared) if fault is None]
            if good:
                given = self._featurizer.embed([prepared[place][1] for place in good])
                embedded = checked(given, rows=len(good), num_features=width, use=self._use)
                embeddings[[start + place for place in good]] = embedded
            contents += [content for content, _, _ in prepared]
            faults += [fault for _, _, fault in prepared]
        table = pa.table(
            {
                "id": pa.array([row.id for row in rows]),
                "image": pa.array([row.name for row in rows], pa.string()),
                "content": pa.array(contents, pa.string()),
                "embedding": half_lists(embeddings, null=np.array([fault is not None for fault in faults], bool)),
                "fault": pa.array(faults, pa.string()),
            }
        )
        commit_table(embeddings_path(self._folder, shard.key, self._digest), table)
        return json.dumps({"rows": len(rows), "faults": sum(fault is not None for fault in faults)}).encode()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _submitted(self, rows: Sequence[Row]) -> list[Any]:
        return [self._pool.submit(self._prepared, row) for row in rows]

    def _prepared(self, row: Row) -> tuple[str | None, Any, str | None]:
        content = None
        try:
            data = load(row.data, row.path, beside=row.beside)
            content = hashlib.sha256(data).hexdigest()[:32]
            return content, self._featurizer.prepare(data), None
        except UnreadableRow as error:
            return content, None, str(error)


def rows_of(shard: Shard, *, column: str, id_column: str | None) -> Iterator[Row]:
    """Give the rows of a shard with where their bytes are.

    Raises:
        InputError: the shard cannot be read, or the column holds no images.
    """
    for piece in shard.pieces:
        one = Shard.of([piece], split=shard.split)
        if piece.format == FORMAT:
            table = read_shard(one, text=ImageColumn(column=column), id=id_column)
            sources: list[tuple[bytes | None, str | None]] = [(None, piece.path)]
        else:
            table = read_shard(one, text=ImageColumn(column=column), id=id_column, extra=[column])
            sources = references(table.column(column), piece, column_name=column)
        names, ids = table.column("text").to_pylist(), table.column("id").to_pylist()
        for number, (data, path) in enumerate(sources):
            name = names[number] or f"{piece.name}:{piece.first_row + number}"
            yield Row(id=ids[number], name=name, data=data, path=path, beside=piece.path)


def half_lists(values: npt.NDArray[np.float16], *, null: npt.NDArray[np.bool_]) -> pa.Array:
    """Make (n, d) numbers a column of lists, null where told."""
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), pa.float16())
    offsets = pa.array(np.arange(len(values) + 1) * values.shape[1], pa.int32())
    return pa.ListArray.from_arrays(offsets, flat, mask=pa.array(null))


def embeddings_path(folder: Folder, shard_key: str, digest: str) -> Folder:
    """Where the embeddings of a shard stand; `digest` covers the featurizer and the columns of images and ids."""
    return folder / "embeddings" / f"{shard_key}-{digest}.parquet"
