"""Parquet: cut at row groups, and within a row group that is too big for a shard.

The unit that can be decoded is a row group, and many writers make one of a million rows. A worker therefore keeps
its place in a file: the next rows of the same file are decoded from there on, so that the shards of a big row group
cost one pass over it for each worker, not one for each shard.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import fsspec.core
import pyarrow as pa
import pyarrow.parquet as pq

from operators.corpus.columns import check_present
from operators.corpus.files import SourceFile
from operators.corpus.pieces import Piece
from operators.errors import InputError

_BATCH_ROWS = 4096


def cut(
    file: SourceFile, *, max_rows: int, max_bytes: int, columns: Sequence[str], sized: Sequence[str] | None = None
) -> Iterator[Piece]:
    """Cut a file, from its metadata alone; its size is that of the columns `sized`, or of all named.

    Raises:
        InputError: the file is not Parquet, or lacks a column.
    """
    with _open(file.path) as parquet:
        check_present(columns, parquet.schema_arrow.names, path=file.path)
        metadata = parquet.metadata
        row = 0
        for index in range(metadata.num_row_groups):
            group = metadata.row_group(index)
            size = _size_of(group, columns if sized is None else sized)
            parts = min(max(-(-group.num_rows // max_rows), -(-size // max_bytes)), group.num_rows)
            for part in range(parts):
                # Parts differ by a row at most, rather than leaving a small rest.
                first, last = group.num_rows * part // parts, group.num_rows * (part + 1) // parts
                yield Piece(
                    path=file.path,
                    name=file.name,
                    format=file.format,
                    size=file.size,
                    stamp=file.stamp,
                    first_row=row + first,
                    num_rows=last - first,
                    num_bytes=-(-size // parts),
                )
            row += group.num_rows


def read(piece: Piece, *, columns: Sequence[str]) -> pa.Table:
    """Read the rows of a piece.

    Raises:
        InputError: the file cannot be decoded, or lacks a column.
    """
    cursor = getattr(_place, "cursor", None)
    if cursor is None or not cursor.can_reach(piece, columns):
        if cursor is not None:
            cursor.close()
        _place.cursor = cursor = _Cursor(piece, columns)
    try:
        return cursor.read(piece)
    except BaseException:
        cursor.close()
        _place.cursor = None
        raise


_place = threading.local()


class _Cursor:
    """A place in a file from which decoding goes on."""

    def __init__(self, piece: Piece, columns: Sequence[str]) -> None:
        self._key = (piece.path, piece.stamp, tuple(columns))
        self._parquet = _open(piece.path)
        check_present(columns, self._parquet.schema_arrow.names, path=piece.path)
        self._starts = [0]
        for index in range(self._parquet.metadata.num_row_groups):
            self._starts.append(self._starts[-1] + self._parquet.metadata.row_group(index).num_rows)
        self._columns = list(columns)
        self._batch: pa.RecordBatch
        self._jump(piece.first_row)

    def can_reach(self, piece: Piece, columns: Sequence[str]) -> bool:
        """Whether the piece lies ahead in this file."""
        return self._key == (piece.path, piece.stamp, tuple(columns)) and piece.first_row >= self._row

    def read(self, piece: Piece) -> pa.Table:
        if piece.first_row >= self._next_group_start():
            self._jump(piece.first_row)
        parts = []
        left = piece.num_rows
        try:
            while left:
                if not self._batch.num_rows:
                    self._batch = next(self._batches)
                skipped = min(piece.first_row + piece.num_rows - left - self._row, self._batch.num_rows)
                taken = min(left, self._batch.num_rows - skipped)
                if taken:
                    parts.append(self._batch.slice(skipped, taken))
                self._batch = self._batch.slice(skipped + taken)
                self._row += skipped + taken
                left -= taken
        except StopIteration:
            pass
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{piece.path}: cannot be decoded: {error}") from error
        return pa.Table.from_batches(parts, schema=self._schema())

    def close(self) -> None:
        self._parquet.close()

    def _jump(self, row: int) -> None:
        """Go to the start of the row group that holds a row."""
        group = max(i for i, start in enumerate(self._starts[:-1]) if start <= row)
        self._row = self._starts[group]
        groups = list(range(group, len(self._starts) - 1))
        # One thread: the engine runs an actor a core.
        self._batches = self._parquet.iter_batches(
            _BATCH_ROWS, row_groups=groups, columns=self._columns, use_threads=False
        )
        self._batch = pa.RecordBatch.from_pylist([], schema=self._schema())

    def _next_group_start(self) -> int:
        return next((start for start in self._starts if start > self._row), self._starts[-1])

    def _schema(self) -> pa.Schema:
        schema = self._parquet.schema_arrow
        return pa.schema([schema.field(name) for name in self._columns])


def _open(path: str) -> pq.ParquetFile:
    try:
        if "://" not in path:
            return pq.ParquetFile(path)
        system, root = fsspec.core.url_to_fs(path)
        return pq.ParquetFile(system.open(root, "rb"))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {error}") from error


def _size_of(group: pq.RowGroupMetaData, columns: Sequence[str]) -> int:
    chunks = [group.column(i) for i in range(group.num_columns)]
    wanted = [c for c in chunks if c.path_in_schema.split(".")[0] in columns or c.path_in_schema in columns]
    return sum(c.total_uncompressed_size for c in wanted)
