"""Rows of a table as texts: as lines that people and the end model read, and as JSON that programs get a dict from.

Both are strings, so that all that is built for texts (samples, splits by hash, the sandbox's shared memory) serves
tables as it is.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from operators.errors import InputError

Plain = str | int | float | bool | None
"""What a value of a record may be."""

_WHAT_IS_PLAIN = (
    "a field of a record is text, a number, a truth value or a date. Leave it out of `columns.fields`, or write it as "
    "text"
)


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
    texts = [_text(fields, row) for row in zip(*columns, strict=True)]
    return pa.chunked_array([pa.array(texts, pa.large_string())])


def as_record(row: Mapping[str, Any], fields: Fields, *, place: str) -> str:
    """Join the values of one row into the text that `as_records` makes of it in a table.

    Args:
        row: {column: value}; other columns than those of the fields are passed over.
        fields: that make up the text.
        place: of the row, for errors.

    Raises:
        InputError: a column is missing, or a value has no plain form.
    """
    missing = [name for name in fields.columns if name not in row]
    if missing:
        raise InputError(
            f"{place} lacks {', '.join(map(repr, missing))}; expected {', '.join(map(repr, fields.columns))}: give "
            "None where a value is not known"
        )
    return _text(fields, [_plain_value(row[name], f"{place}: column {name!r}") for name in fields.columns])


def _text(fields: Fields, values: Sequence[Plain]) -> str:
    if fields.as_json:
        return json.dumps(dict(zip(fields.columns, values, strict=True)), ensure_ascii=False)
    return _lines(fields.columns, values)


def _plain(column: pa.ChunkedArray, name: str, *, path: str) -> list[Plain]:
    kind = column.type.value_type if pt.is_dictionary(column.type) else column.type
    values: list[Any] = column.to_pylist()
    if pt.is_floating(kind):
        return [None if value is None else _number(value) for value in values]
    if pt.is_temporal(kind) or pt.is_decimal(kind):
        return [None if value is None else str(value) for value in values]
    if pt.is_null(kind) or pt.is_boolean(kind) or pt.is_integer(kind) or _is_string(kind):
        return values
    raise InputError(f"{path}: column {name!r} holds {kind}; {_WHAT_IS_PLAIN}")


def _plain_value(value: Any, place: str) -> Plain:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta | Decimal):
        # What pandas writes for a date that is missing is no date that equals itself.
        return str(value) if value == value else None
    raise InputError(f"{place} holds {type(value).__name__}; {_WHAT_IS_PLAIN}")


def _number(value: float) -> Plain:
    # Not a number is how tables write that a value is missing, and no JSON.
    return None if math.isnan(value) else str(value) if math.isinf(value) else float(value)


def _is_string(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def _lines(names: Sequence[str], values: Sequence[Plain]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in zip(names, values, strict=True) if value is not None)
