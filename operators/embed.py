"""Rows of a shard to embeddings: fetched and decoded in threads while the model works on the rows before them.

The only pass over the images. What comes of it is kept in half precision by shard and featurizer, so that other
descriptions, classes or programs cost none.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.corpus.images import FORMAT, ImageColumn, references
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.featurizer import FeaturizerSpec, checked
from operators.fetch import UnreachableRow, in_rounds, load
from operators.images import UnreadableRow
from operators.storage import Folder, folder_of
from operators.unreached import noted, write_reached

_AHEAD = 512
"""Rows, of 150 kB each, that are prepared while others are embedded; more would only take memory."""

_CHUNK = 32
"""Rows handed to a featurizer that names no `batch_size`. The model waits for the first chunk of a shard, so it is no
larger than need be."""

_FEWEST, _MOST = 4, 32
"""Threads of one actor that fetch and decode: with few cores some wait for files while another decodes, and above so
many Python's lock, which decoders let go of, is held by the rest of the work."""


_Prepared = tuple[str | None, Any, str | None]
"""Digest of a row's bytes, what the featurizer made of them, why it could not."""


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


class Embedder:
    """Embeds the rows of a shard; made once a worker.

    Args:
        column: of images.
        id_column: None where rows are numbered.
        featurizer: to make.
        threads: that it may compute with; cores that no other worker has.
        decoders: cores that it may decode with.

    Raises:
        InputError: the featurizer cannot be made.
    """

    def __init__(
        self, *, column: str, id_column: str | None, featurizer: FeaturizerSpec, threads: int, decoders: int
    ) -> None:
        self._column = column
        self._id = id_column
        self._use = featurizer.use
        self._featurizer = featurizer.make()
        # Workers start with one thread. What has not imported torch has no use for it here.
        if threads > 1 and "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        self._pool = ThreadPoolExecutor(min(max(decoders, _FEWEST), _MOST))

    @property
    def num_features(self) -> int:
        """d, of an embedding."""
        return self._featurizer.num_features

    def table(self, shard: Shard, *, only: Sequence[int] | None = None) -> pa.Table:
        """Embed a shard, in its order.

        Args:
            shard: whose rows they are.
            only: rows to embed, from 0; None for all.

        Returns:
            id, image (its name), content (digest of its bytes, null where they cannot be had), embedding (list of d
            float16, null where the row cannot be read), fault (why it cannot, else null); with a note of the rows that
            could not be reached, see `operators.unreached`.

        Raises:
            InputError: the shard cannot be read, the featurizer gave no embeddings, or a driver or credentials for
                what its rows name are not there.
        """
        rows = list(rows_of(shard, column=self._column, id_column=self._id))
        if only is not None:
            rows = [rows[place] for place in only]
        embeddings = np.zeros((len(rows), self.num_features), np.float16)
        contents: list[str | None] = [None] * len(rows)
        faults: list[str | None] = [None] * len(rows)
        unreached: list[int] = []
        size = getattr(self._featurizer, "batch_size", _CHUNK)
        places: list[int] = []
        batch: list[Any] = []
        for place, prepared in in_rounds(self._in_order, rows):
            if isinstance(prepared, UnreachableRow):
                unreached.append(place)
                faults[place] = str(prepared)
                continue
            contents[place], row, faults[place] = prepared
            if faults[place] is None:
                places.append(place)
                batch.append(row)
            # Batches are full whatever is broken among the rows.
            if len(batch) == size:
                embeddings[places] = self._embed(batch)
                places, batch = [], []
        if batch:
            embeddings[places] = self._embed(batch)
        table = pa.table(
            {
                "id": pa.array([row.id for row in rows]),
                "image": pa.array([row.name for row in rows], pa.string()),
                "content": pa.array(contents, pa.string()),
                "embedding": half_lists(embeddings, null=np.array([fault is not None for fault in faults], bool)),
                "fault": pa.array(faults, pa.string()),
            }
        )
        return noted(table, sorted(unreached))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _embed(self, batch: list[Any]) -> npt.NDArray[np.float16]:
        given = self._featurizer.embed(batch)
        return checked(given, rows=len(batch), num_features=self.num_features, use=self._use)

    def _in_order(self, rows: Sequence[Row]) -> Iterator[_Prepared | UnreachableRow]:
        """Prepare rows in threads, some ahead of the one that is given."""
        under_way: deque[Future[_Prepared | UnreachableRow]] = deque()
        for row in rows:
            under_way.append(self._pool.submit(self._prepared, row))
            if len(under_way) > _AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def _prepared(self, row: Row) -> _Prepared | UnreachableRow:
        content = None
        try:
            data = load(row.data, row.path, beside=row.beside)
            content = hashlib.sha256(data).hexdigest()[:32]
            return content, self._featurizer.prepare(data), None
        except UnreachableRow as error:
            return error
        except UnreadableRow as error:
            return content, None, str(error)


class EmbedShard:
    """Step: write `embeddings/<shard>-<digest>.parquet`, with the columns of `Embedder.table`.

    Of a file that is there, the rows that could not be reached are tried again.
    """

    def __init__(
        self,
        *,
        folder: str,
        column: str,
        id_column: str | None,
        featurizer: FeaturizerSpec,
        digest: str,
        threads: int = 1,
        decoders: int = 1,
    ) -> None:
        self._folder = folder_of(folder)
        self._digest = digest
        self._embedder = Embedder(
            column=column, id_column=id_column, featurizer=featurizer, threads=threads, decoders=decoders
        )

    def __call__(self, item: str) -> bytes:
        """Embed shard `item`, a Shard as JSON; returns JSON {"rows", "faults"}.

        Raises:
            InputError: as `Embedder.table`.
        """
        shard = Shard.from_json(item)
        path = embeddings_path(self._folder, shard.key, self._digest)
        table = write_reached(path, lambda rows: self._embedder.table(shard, only=rows))
        faults = table.num_rows - table.column("fault").null_count
        return json.dumps({"rows": table.num_rows, "faults": faults}).encode()

    def close(self) -> None:
        """End the threads."""
        self._embedder.close()


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
