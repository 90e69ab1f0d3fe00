"""Parquet: cut at row groups, and within a row group that is too big for a shard.

The unit that can be decoded is a row group, and many writers make one of a million rows. A worker therefore keeps
its place in a file: the next rows of the same file are decoded from there on, so that the shards of a big row group
cost one pass over it for each worker, not one for each shard. What it holds of a group is a page and a batch, so that
memory follows the shard and not the file.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence

import fsspec.core
import pyarrow as pa
import pyarrow.parquet as pq

from operators.corpus.columns import check_present
from operators.corpus.files import SourceFile
from operators.corpus.opening import explained, gone
from operators.corpus.pieces import Piece
from operators.errors import InputError

_BATCH_ROWS = 4096
"""Decoded at a time; fewer where rows are large."""

_BATCH_BYTES = 8 << 20

_BUFFER_BYTES = 1 << 20
"""Read of a column at a time; by default Arrow reads all of a row group before it decodes the first row."""

_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError)
"""What decoding damaged bytes was seen to raise, whatever the encoding and the compression."""

_MEND = "copy or write the file again, or let `data.on_bad_shard: skip` leave these rows out"


def cut(
    file: SourceFile, *, max_rows: int, max_bytes: int, columns: Sequence[str], sized: Sequence[str] | None = None
) -> Iterator[Piece]:
    """Cut a file, from its metadata alone; its size is that of the columns `sized`, or of all named.

    Raises:
        InputError: the file is not Parquet, or lacks a column.
    """
    with _open(file.path) as parquet, _decoding(file.path, "the metadata"):
        check_present(columns, parquet.schema_arrow.names, path=file.path)
        metadata = parquet.metadata
        total = sum(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
        if total != metadata.num_rows:
            raise InputError(
                f"{file.path}: its footer is damaged, it names {metadata.num_rows} rows and {total} in groups; {_MEND}"
            )
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
        metadata = self._parquet.metadata
        self._starts: list[int] = [
            0,
            *itertools.accumulate(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)),
        ]
        self._columns = list(columns)
        self._batch: pa.RecordBatch
        self._jump(piece.first_row)

    def can_reach(self, piece: Piece, columns: Sequence[str]) -> bool:
        """Whether the piece lies ahead in this file."""
        return self._key == (piece.path, piece.stamp, tuple(columns)) and piece.first_row >= self._row

    def read(self, piece: Piece) -> pa.Table:
        stop = piece.first_row + piece.num_rows
        if piece.first_row >= self._stop():
            self._jump(piece.first_row)
        parts = []
        while self._row < stop:
            if not self._batch.num_rows:
                if self._row == self._stop():
                    if self._row == self._starts[-1]:
                        break
                    self._jump(self._row)
                with _decoding(piece.path, self._name()):
                    self._batch = next(self._batches)
            skipped = min(max(piece.first_row - self._row, 0), self._batch.num_rows)
            taken = min(stop - self._row, self._batch.num_rows) - skipped
            if taken:
                parts.append(self._batch.slice(skipped, taken))
            self._batch = self._batch.slice(skipped + taken)
            self._row += skipped + taken
        return pa.Table.from_batches(parts, schema=self._schema())

    def close(self) -> None:
        self._parquet.close()

    def _jump(self, row: int) -> None:
        """Go to the start of the row group that holds a row."""
        # The last one that starts there: a group may have no rows.
        self._group = min(bisect.bisect_right(self._starts, row), len(self._starts) - 1) - 1
        self._row = self._starts[self._group]
        group = self._parquet.metadata.row_group(self._group)
        row_bytes = _size_of(group, self._columns) // max(1, group.num_rows)
        rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, row_bytes)))
        # One group at a time, so that a damaged one costs no row of its neighbours. One thread: an actor has a core.
        self._batches = self._parquet.iter_batches(
            rows, row_groups=[self._group], columns=self._columns, use_threads=False
        )
        self._batch = pa.RecordBatch.from_pylist([], schema=self._schema())

    def _stop(self) -> int:
        return self._starts[self._group + 1]

    def _name(self) -> str:
        return f"row group {self._group} (rows {self._starts[self._group]} to {self._stop() - 1})"

    def _schema(self) -> pa.Schema:
        schema = self._parquet.schema_arrow
        return pa.schema([schema.field(name) for name in self._columns])


def _open(path: str) -> pq.ParquetFile:
    source = path
    try:
        if "://" in path:
            with explained(path):
                system, root = fsspec.core.url_to_fs(path)
                source = system.open(root, "rb")
        return pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES, page_checksum_verification=True)
    except FileNotFoundError:
        raise gone(path) from None
    except PermissionError as error:
        raise InputError(f"{path}: this user may not read it: {error}") from error
    except _DAMAGE as error:
        raise InputError(
            f"{path}: cannot be read as Parquet, its footer is damaged or cut off: {error}; {_MEND}"
        ) from error


@contextlib.contextmanager
def _decoding(path: str, place: str) -> Iterator[None]:
    """Turn what decoding raises into an error that names the place."""
    try:
        yield
    except StopIteration:
        raise InputError(f"{path}, {place}: ends before its last row; {_MEND}") from None
    except _DAMAGE as error:
        raise InputError(f"{path}, {place}: cannot be decoded: {error}; {_MEND}") from error


def _size_of(group: pq.RowGroupMetaData, columns: Sequence[str]) -> int:
    chunks = [group.column(i) for i in range(group.num_columns)]
    wanted = [c for c in chunks if c.path_in_schema.split(".")[0] in columns or c.path_in_schema in columns]
    size: int = sum(c.total_uncompressed_size for c in wanted)
    return size
