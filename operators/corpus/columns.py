"""The columns that every format must give: present, of a type that works, in UTF-8."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from operators.corpus.opening import MAX_ROW_BYTES, too_large
from operators.corpus.pieces import Piece
from operators.errors import InputError


def check_present(columns: Sequence[str], present: Sequence[str], *, path: str) -> None:
    """Refuse a file that lacks a column, or has it twice.

    Raises:
        InputError: names the file, the column, what is there and the nearest of it.
    """
    for column in columns:
        if column not in present:
            near = difflib.get_close_matches(column, present, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            if len(present) == 1 and "\0" in present[0]:
                raise InputError(
                    f"{path}: holds NUL bytes and no columns; it was cut off or preallocated, write it again"
                )
            if len(present) == 1 and any(mark in present[0] for mark in ";\t|"):
                hint = "; the file seems to separate its columns by another sign than its name says"
            others = f" and {len(present) - 20} more" if len(present) > 20 else ""
            raise InputError(f"{path}: no column {column!r}; its columns are {list(present[:20])}{others}{hint}")
        if list(present).count(column) > 1:
            raise InputError(f"{path}: more than one column is named {column!r}; rename all but one")


def check_encoding(table: pa.Table, piece: Piece) -> None:
    """Refuse strings that are not UTF-8; some writers of Parquet put any bytes into them.

    Raises:
        InputError: names the file, the column and the row.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{_place(piece, _first_bad(column), name)}: not UTF-8 ({error}); convert the file"
            ) from error


def as_texts(column: pa.ChunkedArray, piece: Piece, *, column_name: str) -> pa.ChunkedArray:
    """Return texts as large_string, nulls kept; bytes are taken for UTF-8, as some writers leave that unsaid.

    Raises:
        InputError: the column holds something else, or a text is larger than a row may be.
    """
    if _is_binary(column.type):
        column = _decoded(column, piece, column_name)
    if not (pt.is_null(column.type) or _is_string(column.type)):
        raise InputError(
            f"{_of_value(column, piece)}: the text column {column_name!r} holds {column.type}, expected strings; "
            "name the column of the texts in `columns.text`, or write them as strings"
        )
    texts = column.cast(pa.large_string())
    sizes = pc.binary_length(texts)
    if (pc.max(sizes).as_py() or 0) > MAX_ROW_BYTES:
        row = pc.index(pc.greater(sizes, MAX_ROW_BYTES), True).as_py()
        raise too_large(_place(piece, row, column_name))
    return texts


def as_ids(column: pa.ChunkedArray, piece: Piece, *, column_name: str) -> pa.ChunkedArray:
    """Return ids as int64 or string.

    Raises:
        InputError: the column holds something else, or an integer above 2**63 - 1.
    """
    if _is_binary(column.type):
        column = _decoded(column, piece, column_name)
    if _is_string(column.type):
        return column.cast(pa.string())
    if pt.is_integer(column.type):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{piece.path}: an id in column {column_name!r} does not fit 64 bits: {error}; write the ids as strings"
            ) from error
    if pt.is_null(column.type):
        row = _place(piece, 0, column_name)
        raise InputError(f"{row}: no id; every row needs one, or leave `columns.id` out to number the rows")
    raise InputError(
        f"{_of_value(column, piece)}: the id column {column_name!r} holds {column.type}, expected integers or strings; "
        "convert it, or leave `columns.id` out to number the rows"
    )


def _is_string(kind: pa.DataType) -> bool:
    if pt.is_dictionary(kind):
        kind = kind.value_type
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind))


def _decoded(column: pa.ChunkedArray, piece: Piece, name: str) -> pa.ChunkedArray:
    try:
        return column.cast(pa.large_string())
    except pa.ArrowInvalid as error:
        raise InputError(
            f"{_place(piece, _first_bad(column), name)}: not UTF-8 ({error}); write the texts as strings in UTF-8"
        ) from error


def _of_value(column: pa.ChunkedArray, piece: Piece) -> str:
    """Name the row of the first value where rows have types; in Parquet the column has one."""
    if piece.format == "parquet":
        return piece.path
    row = pc.index(column.is_valid(), True).as_py()
    return f"{piece.path}, row {piece.first_row + row}"


def _first_bad(column: pa.ChunkedArray) -> int:
    binary = pc.cast(column, pa.large_binary()) if not pt.is_dictionary(column.type) else column
    for row, value in enumerate(binary):
        try:
            raw = value.as_py()
            if isinstance(raw, bytes):
                raw.decode("utf-8")
        except UnicodeDecodeError:
            return row
    return 0


def _place(piece: Piece, row: int, column: str) -> str:
    return f"{piece.path}, row {piece.first_row + row}, column {column!r}"
