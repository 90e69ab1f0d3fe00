"""Shards put together are the corpus, in its order, whatever the format and the bounds."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operators.corpus.plan import Shard, plan_shards
from operators.corpus.read import read_shard
from operators.errors import InputError

ROWS = [(f"u{i}", f'text {i}, with "quotes"\nand a line break' if i % 3 else "") for i in range(40)]
NAMES = ["a.parquet", "a.csv", "a.tsv", "a.jsonl", "a.ndjson", "a.json", "a.csv.gz", "a.tsv.gz", "a.jsonl.gz"]
VALUES = st.text(alphabet=st.characters(codec="utf-8"), max_size=12) | st.sampled_from(['"', '""', "\n", "\r\n", ","])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("max_rows", [1, 3, 7, 40, 1000])
def test_shards_concatenate_to_the_file(tmp_path, write, plan, rows_of, name, max_rows):
    """Cut by rows at any bound, a file of any format comes back whole and in order."""
    path = write(tmp_path / name, ROWS)
    shards = plan(path, max_rows=max_rows)
    assert max(shard.num_rows for shard in shards) <= max_rows
    assert rows_of(shards) == ROWS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("max_bytes", [1, 60, 200])
def test_shards_keep_to_bytes(tmp_path, write, plan, rows_of, name, max_bytes):
    """Cut by bytes, no text shard of more than one row is above the bound, and nothing is lost."""
    shards = plan(write(tmp_path / name, ROWS), max_rows=1000, max_bytes=max_bytes)
    assert len(shards) > 3
    if not name.endswith("parquet"):
        assert all(shard.num_bytes <= max_bytes or shard.num_rows == 1 for shard in shards)
    assert rows_of(shards) == ROWS


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\r\n", "\n"]),
    max_rows=st.integers(1, 13),
    max_bytes=st.integers(1, 80),
)
def test_what_the_csv_module_writes_comes_back(tmp_path, plan, rows_of, rows, quoting, end, max_rows, max_bytes):
    """Quotes, line breaks, separators and any character survive, wherever the file is cut."""
    # With "\n" as its line end, Python 3.11 leaves a lone carriage return unquoted, which no reader can tell apart.
    if end == "\n" and quoting == csv.QUOTE_MINIMAL:
        rows = [(a.replace("\r", " "), b.replace("\r", " ")) for a, b in rows]
    path = tmp_path / "h.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=quoting, lineterminator=end)
        writer.writerow(["uid", "body"])
        writer.writerows(rows)
    assert rows_of(plan(path, max_rows=max_rows, max_bytes=max_bytes)) == rows


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_nulls_stay_nulls_and_empty_stays_empty(tmp_path, write, plan, rows_of, name):
    """A null text is not an empty text."""
    rows = [("a", None), ("b", ""), ("c", "x")]
    assert rows_of(plan(write(tmp_path / name, rows))) == rows


def test_empty_csv_values_are_empty_strings(tmp_path, plan, rows_of):
    """CSV has no null: an empty value is an empty string, quoted or not, and `NA` is a text."""
    path = tmp_path / "a.csv"
    path.write_text('uid,body\n1,\n2,""\n3,NA\n\n4,null\n')
    assert rows_of(plan(path)) == [("1", ""), ("2", ""), ("3", "NA"), ("4", "null")]


def test_ids_keep_their_type(tmp_path, plan, rows_of):
    """Integers stay integers in Parquet and JSON, of whatever width; CSV ids are strings."""
    pq.write_table(pa.table({"uid": pa.array([7], pa.int16()), "body": ["x"]}), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"uid": 7, "body": "x"}\n')
    (tmp_path / "a.csv").write_text("uid,body\n007,x\n")
    assert rows_of(plan(tmp_path / "a.parquet")) == [(7, "x")]
    assert rows_of(plan(tmp_path / "a.jsonl")) == [(7, "x")]
    assert rows_of(plan(tmp_path / "a.csv")) == [("007", "x")]


def test_ids_name_file_and_row(tmp_path, write):
    """Without an id column a row is known by its file, relative to the common folder, and its number in it."""
    (tmp_path / "in").mkdir()
    write(tmp_path / "a.csv", ROWS[:3])
    write(tmp_path / "in" / "b.csv", ROWS[:2])
    shards = plan_shards([str(tmp_path)], max_rows=2, max_bytes=1 << 20, columns=["body"])
    ids = [i for shard in shards for i in read_shard(shard, text="body", id=None).column("id").to_pylist()]
    assert ids == ["a.csv:0", "a.csv:1", "a.csv:2", "in/b.csv:0", "in/b.csv:1"]


def test_extra_columns_come_along(tmp_path, plan):
    """Gold and group come by their own names, in the types of the file."""
    (tmp_path / "a.jsonl").write_text('{"uid": 1, "body": "x", "gold": 1}\n{"uid": 2, "body": "y"}\n')
    (shard,) = plan(tmp_path / "a.jsonl", columns=["uid", "body", "gold"])
    table = read_shard(shard, text="body", id="uid", extra=["gold", "uid"])
    assert table.to_pydict() == {"id": [1, 2], "text": ["x", "y"], "gold": [1, None], "uid": [1, 2]}
    assert table.schema.field("text").type == pa.large_string()


def test_dictionary_columns_are_strings(tmp_path, plan, rows_of):
    """What pandas writes for a categorical column reads as strings."""
    kind = pa.dictionary(pa.int8(), pa.string())
    pq.write_table(pa.table({"uid": pa.array(["u"], kind), "body": pa.array(["x"], kind)}), tmp_path / "a.parquet")
    assert rows_of(plan(tmp_path / "a.parquet")) == [("u", "x")]


def test_a_shard_travels_as_json(tmp_path, write, plan):
    """A shard read back from JSON is equal to it, key and all."""
    for name in ("a.csv", "b.parquet"):
        (shard,) = plan(write(tmp_path / name, ROWS[:4]))
        assert Shard.from_json(shard.to_json()) == shard


def test_byte_order_mark_is_no_text(tmp_path, plan, rows_of):
    """Files from spreadsheets begin with a mark, which is not part of the first column's name."""
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfuid,body\r\n1,x\r\n2,y\r\n")
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"uid": "1", "body": "x"}\r\n{"uid": "2", "body": "y"}')
    for name in ("a.csv", "a.jsonl"):
        assert rows_of(plan(tmp_path / name, max_rows=1)) == [("1", "x"), ("2", "y")]


def test_rows_of_a_big_group_in_any_order(tmp_path, write, plan):
    """Shards of one row group read backwards, or twice, give the same rows as forwards."""
    shards = plan(write(tmp_path / "a.parquet", ROWS, row_group_size=25), max_rows=3)
    forwards = [read_shard(shard, text="body", id="uid") for shard in shards]
    backwards = [read_shard(shard, text="body", id="uid") for shard in reversed(shards)]
    assert forwards == backwards[::-1]
    assert read_shard(shards[2], text="body", id="uid") == forwards[2]
    assert read_shard(shards[-1], text="body", id="uid") == forwards[-1]


def test_texts_above_the_csv_modules_limit(tmp_path, write, plan, rows_of):
    """A value of a megabyte is read, though Python's csv module refuses it by default."""
    rows = [("a", "x" * (1 << 20)), ("b", "y")]
    assert rows_of(plan(write(tmp_path / "a.csv", rows))) == rows


BAD = {
    "utf8.csv": (b"uid,body\n1,x\n2,\xff\n", "utf8.csv, row 1: not UTF-8"),
    "ragged.csv": (b"uid,body\n1,x\n2,y,z\n", "ragged.csv, row 1: 3 values, but the header names 2"),
    "short.csv": (b"uid,body\n1,x\n2\n", "short.csv, row 1: 1 values"),
    "open.csv": (b'uid,body\n1,x\n2,"y\n', "open.csv, row 1: not a record"),
    "stray.csv": (b'uid,body\n1,"x" y\n', "stray.csv, row 0: not a record"),
    "utf8.jsonl": (b'{"uid": 1, "body": "x"}\n{"uid": 2, "body": "\xff"}\n', "utf8.jsonl, row 1: not UTF-8"),
    "cut.jsonl": (b'{"uid": 1, "body": "x"}\n{"uid": 2,\n', "cut.jsonl, row 1: not JSON"),
    "list.jsonl": (b'{"uid": 1, "body": "x"}\n[1]\n', "list.jsonl, row 1: a JSON list"),
    "array.json": (b'[\n{"uid": 1, "body": "x"}\n]\n', "array.json, row 0: not JSON.*array over many lines"),
    "number.jsonl": (b'{"uid": 1, "body": 3}\n', "number.jsonl, row 0: the text column 'body' holds int64"),
    "mixed.jsonl": (b'{"uid": 1, "body": "x"}\n{"uid": "b", "body": "x"}\n', "int in row 0 and str in row 1"),
    "float.jsonl": (b'{"uid": 1.5, "body": "x"}\n', "float.jsonl, row 0: the id column 'uid' holds double"),
    "half.jsonl": (b'{"uid": 1, "body": "\\ud800"}\n', "half.jsonl, row 0, column 'body': half a surrogate"),
    "not.parquet": (b"PAR1 it is not", "not.parquet: cannot be read as Parquet"),
    "not.csv.gz": (b"uid,body\n1,x\n", "not.csv.gz, header: the file is damaged or cut off here .BadGzipFile"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name(tmp_path, plan, rows_of, name):
    """What cannot be read is said with file and row, not skipped or guessed."""
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        rows_of(plan(tmp_path / name))


def test_parquet_text_of_wrong_type(tmp_path, plan, rows_of):
    """A column of numbers is no text."""
    pq.write_table(pa.table({"uid": ["a"], "body": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="text column 'body' holds int64, expected strings"):
        rows_of(plan(tmp_path / "a.parquet"))


def test_parquet_bytes_that_are_not_utf8(tmp_path, plan, rows_of):
    """Bytes that a writer put into a string column are found, and the row is named."""
    raw = pa.array([b"ok", b"\xff"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    pq.write_table(pa.table({"uid": ["a", "b"], "body": broken}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="a.parquet, row 1, column 'body': not UTF-8"):
        rows_of(plan(tmp_path / "a.parquet"))


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_a_changed_file_is_refused(tmp_path, write, plan, rows_of, name):
    """A file that is not the one that was planned is refused by its name."""
    path = write(tmp_path / name, ROWS)
    shards = plan(path)
    write(path, ROWS[:20])
    with pytest.raises(InputError, match=f"{name} changed since the corpus was planned"):
        rows_of(shards)


def test_ids_of_two_types_are_refused(tmp_path, plan, rows_of):
    """Ids cannot be integers in one file and strings in the next."""
    (tmp_path / "a.jsonl").write_text(json.dumps({"uid": 1, "body": "x"}))
    (tmp_path / "b.jsonl").write_text(json.dumps({"uid": "1", "body": "x"}))
    with pytest.raises(InputError, match="int64 in .*a.jsonl and string in .*b.jsonl"):
        rows_of(plan(tmp_path))
