"""Rows of tables as texts: the lines that people read, and the JSON that programs get dicts from."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pyarrow as pa
import pytest

from operators.corpus.records import Fields, as_records
from operators.errors import InputError

TABLE = pa.table(
    {
        "age": pa.array([41, None], pa.int16()),
        "share": pa.array([0.5, float("nan")]),
        "limit": pa.array([float("inf"), -1.0]),
        "name": pa.array(['Zoë "Z"\nQ', ""]).dictionary_encode(),
        "paid": pa.array([True, False]),
        "since": pa.array([datetime.date(2024, 2, 29), None]),
        "price": pa.array([Decimal("1.50"), None]),
        "none": pa.nulls(2),
    }
)


def rows(*, as_json: bool) -> list[str]:
    fields = Fields(columns=tuple(TABLE.column_names), as_json=as_json)
    return as_records(TABLE, fields, path="t.parquet").to_pylist()


def test_programs_get_plain_values() -> None:
    """Numbers and truth values stay what they are; dates and decimals are texts; missing is None, never NaN."""
    assert [json.loads(text) for text in rows(as_json=True)] == [
        {
            "age": 41,
            "share": 0.5,
            "limit": "inf",
            "name": 'Zoë "Z"\nQ',
            "paid": True,
            "since": "2024-02-29",
            "price": "1.50",
            "none": None,
        },
        {
            "age": None,
            "share": None,
            "limit": -1.0,
            "name": "",
            "paid": False,
            "since": None,
            "price": None,
            "none": None,
        },
    ]


def test_people_get_lines() -> None:
    """One a value that is there."""
    assert rows(as_json=False)[1] == "limit: -1.0\nname: \npaid: False"


def test_a_row_of_nulls_is_a_record() -> None:
    """Programs may vote on what is missing, so no record is null."""
    table = pa.table({"a": pa.nulls(1, pa.string())})
    for as_json, text in ((True, '{"a": null}'), (False, "")):
        assert as_records(table, Fields(columns=("a",), as_json=as_json), path="t").to_pylist() == [text]


def test_a_column_of_lists_is_refused_by_name() -> None:
    """There is no plain form that all would expect."""
    with pytest.raises(InputError, match=r"t.csv: column 'tags' holds list"):
        as_records(pa.table({"tags": [["a"]]}), Fields(columns=("tags",)), path="t.csv")
