"""Where a text file is cut, given the byte at which each of its records ends."""

from __future__ import annotations

from collections.abc import Iterator

from operators.corpus.files import SourceFile
from operators.corpus.pieces import Piece


class Cutter:
    """Gathers records into pieces within the bounds; a record above them is a piece of its own.

    Args:
        file: that is cut.
        max_rows: of a piece.
        max_bytes: of a piece.
        start: byte at which the first record begins.
        header: of the file, kept in the pieces.
    """

    def __init__(
        self, file: SourceFile, *, max_rows: int, max_bytes: int, start: int, header: tuple[str, ...] = ()
    ) -> None:
        self._file = file
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._header = header
        self._start = self._end = start
        self._first_row = self._num_rows = 0

    def add(self, end: int) -> Iterator[Piece]:
        """Take in a record that ends at byte `end`; yield the piece before it, where it does not fit any more."""
        if self._num_rows and (self._num_rows == self._max_rows or end - self._start > self._max_bytes):
            yield from self.rest()
        self._num_rows += 1
        self._end = end

    def rest(self) -> Iterator[Piece]:
        """Yield what was gathered and begin anew."""
        if not self._num_rows:
            return
        file = self._file
        yield Piece(
            path=file.path,
            name=file.name,
            format=file.format,
            size=file.size,
            stamp=file.stamp,
            first_row=self._first_row,
            num_rows=self._num_rows,
            num_bytes=self._end - self._start,
            start=self._start,
            stop=self._end,
            header=self._header,
        )
        self._first_row += self._num_rows
        self._num_rows = 0
        self._start = self._end
