"""JSON lines: an object a line. A column that a row does not have is null there, as is JSON's null.

Writers leave out keys that have no value, so a column may be absent from any row, but not from all rows of a file.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow as pa

from operators.corpus.columns import check_present
from operators.corpus.cutting import Cutter
from operators.corpus.files import SourceFile
from operators.corpus.opening import lines_of, opened
from operators.corpus.pieces import Piece
from operators.errors import InputError


def cut(file: SourceFile, *, max_rows: int, max_bytes: int, columns: Sequence[str]) -> Iterator[Piece]:
    """Cut a file at the ends of lines; blank lines are no rows. Rows are parsed until each column was seen once.

    Raises:
        InputError: one of these rows is not an object, no row has a column, a row is too large, or the file is cut off.
    """
    with opened(file.path, stamp=file.stamp) as source:
        source.seek(0)
        wanted = set(columns)
        cutter = Cutter(file, max_rows=max_rows, max_bytes=max_bytes, start=0)
        seen: dict[str, None] = {}
        row = -1
        pieces: list[Piece] = []
        for row, (line, end) in enumerate(_lines(source, path=file.path, first_row=0, start=0, stop=None)):
            if not row or not seen.keys() >= wanted:
                seen |= dict.fromkeys(_parsed(line, path=file.path, row=row))
            pieces += cutter.add(end)
            if seen.keys() >= wanted:
                yield from pieces
                pieces = []
        if row >= 0:
            check_present(columns, list(seen), path=file.path)
        yield from cutter.rest()


def read(piece: Piece, *, columns: Sequence[str]) -> pa.Table:
    """Read the rows of a piece.

    Raises:
        InputError: a row is not a JSON object in UTF-8, or the values of a column are of more than one type.
    """
    rows: list[dict[str, Any]] = []
    with opened(piece.path, stamp=piece.stamp) as source:
        source.seek(piece.start)
        lines = _lines(source, path=piece.path, first_row=piece.first_row, start=piece.start, stop=piece.stop)
        for line, _ in lines:
            rows.append(_parsed(line, path=piece.path, row=piece.first_row + len(rows)))
    return pa.table({name: _column([row.get(name) for row in rows], piece, name=name) for name in columns})


def _lines(
    source: IO[bytes], *, path: str, first_row: int, start: int, stop: int | None
) -> Iterator[tuple[bytes, int]]:
    """Yield the lines that are not blank, each with the byte after it."""
    end, row = start, first_row

    def where() -> str:
        return f"{path}, row {row}"

    for line in lines_of(source, where=where):
        content = line.removeprefix(codecs.BOM_UTF8) if end == 0 else line
        end += len(line)
        if content.strip():
            yield content, end
            row += 1
        if stop is not None and end >= stop:
            return


def _parsed(line: bytes, *, path: str, row: int) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, row {row}: not UTF-8 ({error}); convert the file") from error
    except (ValueError, RecursionError) as error:
        hint = "; a JSON array over many lines is not JSON lines" if row == 0 and line.lstrip()[:1] == b"[" else ""
        raise InputError(f"{path}, row {row}: not JSON: {error}; expected one object a line{hint}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}, row {row}: a JSON {type(value).__name__}, expected one object a line")
    return value


def _column(values: list[Any], piece: Piece, *, name: str) -> pa.Array:
    kinds: dict[type, int] = {}
    for row, value in enumerate(values):
        if value is not None:
            kinds.setdefault(type(value), piece.first_row + row)
    if len(kinds) > 1 and set(kinds) != {int, float}:
        found = " and ".join(f"{kind.__name__} in row {row}" for kind, row in kinds.items())
        raise InputError(f"{piece.path}: column {name!r} holds {found}; give it values of one type")
    try:
        return pa.array(values, pa.large_string() if set(kinds) == {str} else None)
    except UnicodeEncodeError:
        rows = (row for row, value in enumerate(values) if isinstance(value, str) and not _encodes(value))
        where = f"{piece.path}, row {piece.first_row + next(rows, 0)}, column {name!r}"
        raise InputError(f"{where}: half a surrogate pair, which is no character; mend the escapes") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise InputError(
            f"{piece.path}: column {name!r} cannot be read: {error}; give it values of one type"
        ) from error


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
