"""Rows of tables as texts: the lines that people read, and the JSON that programs get dicts from."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from operators.corpus.records import Fields, as_record, as_records
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


@pytest.mark.parametrize("as_json", [False, True])
def test_a_row_by_itself_is_the_row_of_its_table(as_json: bool) -> None:
    """What a dict is turned into is what a table gives of the same values, other columns beside them or not."""
    fields = Fields(columns=tuple(TABLE.column_names), as_json=as_json)
    found = [as_record({"label": "x", **row}, fields, place="row") for row in TABLE.to_pylist()]
    assert found == rows(as_json=as_json)


def test_numbers_and_gaps_of_numpy_and_pandas_are_plain() -> None:
    """A scalar of NumPy is its number, and a date that pandas lacks is no value."""
    row = {"a": np.int8(3), "b": np.float32(0.5), "c": np.True_, "d": pd.NaT, "e": pd.Timestamp("2024-02-29 12:00")}
    assert as_record(row, Fields(columns=tuple(row)), place="row") == "a: 3\nb: 0.5\nc: True\ne: 2024-02-29 12:00:00"


def test_a_row_by_itself_names_what_is_wrong() -> None:
    """Columns that are missing are named with the row, and so is a value without a plain form."""
    fields = Fields(columns=("age", "job", "city"))
    with pytest.raises(InputError, match=r"row 3 lacks 'job', 'city'; expected 'age', 'job', 'city'"):
        as_record({"age": 3, "town": "Ulm"}, fields, place="row 3")
    with pytest.raises(InputError, match=r"row 3: column 'job' holds list"):
        as_record({"age": 3, "job": ["nurse"], "city": None}, fields, place="row 3")
