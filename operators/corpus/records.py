"""Rows of a table as texts: as lines that people and the end model read, and as JSON that programs get a dict from.

Both are strings, so that all that is built for texts (samples, splits by hash, the sandbox's shared memory) serves
tables as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

from operators.errors import InputError

Plain = str | int | float | bool | None
"""What a value of a record may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What makes up a row's text.

    Attributes:
        columns: in their order.
        as_json: for programs; else "column: value" lines.
    """

    columns: tuple[str, ...]
    as_json: bool = False


def columns_of(text: str | Fields) -> tuple[str, ...]:
    """Return the columns that a row's text is made of."""
    return (text,) if isinstance(text, str) else text.columns


def as_records(table: pa.Table, fields: Fields, *, path: str) -> pa.ChunkedArray:
    """Join the columns of each row into a text; no row is null, since a record of nulls is a record.

    Returns:
        large_string.

    Raises:
        InputError: a column holds lists or the like, which have no plain form.
    """
    columns = [_plain(table.column(name), name, path=path) for name in fields.columns]
    rows = zip(*columns, strict=True)
    if fields.as_json:
        texts = [json.dumps(dict(zip(fields.columns, row, strict=True)), ensure_ascii=False) for row in rows]
    else:
        texts = [_lines(fields.columns, row) for row in rows]
    return pa.chunked_array([pa.array(texts, pa.large_string())])


def _plain(column: pa.ChunkedArray, name: str, *, path: str) -> list[Plain]:
    kind = column.type.value_type if pt.is_dictionary(column.type) else column.type
    values: list[Any] = column.to_pylist()
    if pt.is_floating(kind):
        # Not a number is how tables write that a value is missing, and no JSON.
        return [None if v is None or math.isnan(v) else str(v) if math.isinf(v) else float(v) for v in values]
    if pt.is_temporal(kind) or pt.is_decimal(kind):
        return [None if value is None else str(value) for value in values]
    if pt.is_null(kind) or pt.is_boolean(kind) or pt.is_integer(kind) or _is_string(kind):
        return values
    raise InputError(
        f"{path}: column {name!r} holds {kind}; a field of a record is text, a number, a truth value or a date. Leave "
        "it out of `columns.fields`, or write it as text"
    )


def _is_string(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def _lines(names: Sequence[str], values: Sequence[Plain]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in zip(names, values, strict=True) if value is not None)
