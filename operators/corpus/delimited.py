"""CSV and TSV, as RFC 4180 and Python's csv module read them: values are strings, an empty one is an empty string.

A line break may stand inside quotes, so that only a parser knows where a record ends. The file is parsed once for
the plan, which remembers the byte at which each piece begins, and each piece once more by the worker that reads it.
"""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Iterator, Sequence
from typing import IO

import pyarrow as pa

from operators.corpus.columns import check_present
from operators.corpus.cutting import Cutter
from operators.corpus.files import SourceFile
from operators.corpus.opening import MAX_ROW_BYTES, lines_of, opened, too_large
from operators.corpus.pieces import Piece
from operators.errors import InputError

_DELIMITERS = {"csv": ",", "tsv": "\t"}


def cut(file: SourceFile, *, max_rows: int, max_bytes: int, columns: Sequence[str]) -> Iterator[Piece]:
    """Cut a file at the ends of records; blank lines are no records.

    Raises:
        InputError: a column is missing; a record has more or fewer values than the header, or more bytes than a row
            may; bytes are not UTF-8; a quote is out of place; the file is cut off. Names the row, counted from 0 below
            the header.
    """
    with opened(file.path, stamp=file.stamp) as source:
        source.seek(0)
        records = _Records(source, path=file.path, format=file.format, start=0, stop=None, first_row=-1)
        rest = iter(records)
        header = next(rest, None)
        if header is None:
            return
        check_present(columns, header, path=file.path)
        cutter = Cutter(file, max_rows=max_rows, max_bytes=max_bytes, start=records.end, header=tuple(header))
        for record in rest:
            records.check(record, len(header))
            yield from cutter.add(records.end)
        yield from cutter.rest()


def read(piece: Piece, *, columns: Sequence[str]) -> pa.Table:
    """Read the rows of a piece, all columns as strings.

    Raises:
        InputError: as `cut`.
    """
    check_present(columns, piece.header, path=piece.path)
    places = [piece.header.index(name) for name in columns]
    values: list[list[str]] = [[] for _ in columns]
    with opened(piece.path, stamp=piece.stamp) as source:
        source.seek(piece.start)
        records = _Records(
            source,
            path=piece.path,
            format=piece.format,
            start=piece.start,
            stop=piece.stop,
            first_row=piece.first_row,
        )
        for record in records:
            records.check(record, len(piece.header))
            for place, column in zip(places, values, strict=True):
                column.append(record[place])
    arrays = [pa.array(column, pa.large_string()) for column in values]
    return pa.table(dict(zip(columns, arrays, strict=True)))


class _Records:
    """Records of a file from one byte to another.

    Attributes:
        end: byte after the last record that was given.
    """

    def __init__(
        self, source: IO[bytes], *, path: str, format: str, start: int, stop: int | None, first_row: int
    ) -> None:
        # The module refuses values above 128 KiB, and texts are longer; the limit is the process's, not a reader's.
        csv.field_size_limit(sys.maxsize)
        self._source = source
        self._path = path
        self._row = first_row
        self._stop = stop
        self._delimiter = _DELIMITERS[format]
        self.end = self._begin = start

    def __iter__(self) -> Iterator[list[str]]:
        reader = csv.reader(self._lines(), delimiter=self._delimiter, strict=True)
        try:
            for record in reader:
                self._begin = self.end
                if record:
                    yield record
                    self._row += 1
        except csv.Error as error:
            raise InputError(
                f"{self._where()}: not a record of RFC 4180: {error}; a value with quotes, separators or line breaks "
                "in it stands in quotes, and quotes in it are doubled"
            ) from error

    def check(self, record: list[str], num_columns: int) -> None:
        """Refuse a record that does not fit the header."""
        if len(record) != num_columns:
            raise InputError(
                f"{self._where()}: {len(record)} values, but the header names {num_columns} columns; "
                f"put values that hold {self._delimiter!r} in quotes"
            )

    def _lines(self) -> Iterator[str]:
        for line in lines_of(self._source, where=self._where):
            if self.end + len(line) - self._begin > MAX_ROW_BYTES:
                raise too_large(self._where())
            raw = line
            if self.end == 0:
                raw = line.removeprefix(codecs.BOM_UTF8)
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"{self._where()}: not UTF-8 ({error}); convert the file") from error
            self.end += len(line)
            yield text
            if self._stop is not None and self.end >= self._stop:
                return

    def _where(self) -> str:
        return f"{self._path}, header" if self._row < 0 else f"{self._path}, row {self._row}"
