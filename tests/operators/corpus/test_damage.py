"""Damaged files are refused with the row or row group, at planning or at reading, and the rest is not guessed at."""

from __future__ import annotations

import gzip
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.opening import MAX_ROW_BYTES
from operators.errors import InputError

ROWS = [(f"u{i}", f"text {i} {random.Random(i).random()}") for i in range(3000)]


def _refused(plan, rows_of, source, *, message):
    with pytest.raises(InputError, match=message):
        rows_of(plan(source, max_rows=500))


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd", "gzip"])
def test_a_damaged_row_group_is_named_and_costs_no_other(tmp_path, write, plan, rows_of, codec):
    """The footer is whole, so only reading shows it; rows of the groups around it are read, to the last one."""
    path = write(tmp_path / "a.parquet", ROWS, row_group_size=1000)
    pq.write_table(pq.read_table(path), path, row_group_size=1000, compression=codec, write_page_checksum=True)
    group = pq.ParquetFile(path).metadata.row_group(1)
    start = group.column(1).data_page_offset + 60
    content = bytearray(path.read_bytes())
    content[start : start + 64] = bytes(64)
    path.write_bytes(content)
    shards = plan(path, max_rows=1000)
    assert [shard.num_rows for shard in shards] == [1000, 1000, 1000]
    assert rows_of([shards[0]]) == ROWS[:1000]
    with pytest.raises(InputError, match=r"a.parquet, row group 1 \(rows 1000 to 1999\): cannot be decoded: .*again"):
        rows_of([shards[1]])
    assert rows_of([shards[2]]) == ROWS[2000:]


def test_any_damage_of_the_data_is_refused(tmp_path, write, plan, rows_of):
    """With page checksums, bytes changed anywhere in the pages are an InputError or change nothing."""
    path = write(tmp_path / "a.parquet", ROWS[:300], row_group_size=1000)
    pq.write_table(pq.read_table(path), path, write_page_checksum=True)
    good, rng = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(40):
        content = bytearray(good)
        content[rng.randrange(4, len(good) - 1500)] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        try:
            assert rows_of(plan(path, max_rows=100)) == ROWS[:300]
        except InputError as error:
            refused += "a.parquet" in str(error)
    assert refused > 20


@pytest.mark.parametrize("part", [0.3, 0.9])
@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_a_truncated_gzip_names_the_row_at_which_it_ends(tmp_path, write, plan, rows_of, name, part):
    """A transfer that broke off is noticed, and not taken for a shorter file."""
    path = write(tmp_path / name, ROWS)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    _refused(plan, rows_of, path, message=rf"{name}, row \d+: the file is damaged or cut off here \(EOFError")


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_a_damaged_gzip_is_refused(tmp_path, write, plan, rows_of, name):
    """Bytes overwritten in the middle, or another checksum at the end."""
    path = write(tmp_path / name, ROWS)
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(16) + content[half + 16 :])
    _refused(plan, rows_of, path, message=rf"{name}, row \d+: ")
    path.write_bytes(content[:-8] + bytes(8))
    _refused(plan, rows_of, path, message=rf"{name}, row 3000: the file is damaged .*BadGzipFile: CRC")


def test_a_footer_that_contradicts_itself_is_refused(tmp_path, write, plan):
    """Half a file, and a file of which only the beginning is there, are told from Parquet."""
    path = write(tmp_path / "a.parquet", ROWS)
    content = path.read_bytes()
    for cut in (content[:-1], content[:100], content[: len(content) // 2], content[:-400] + content[-200:]):
        path.write_bytes(cut)
        with pytest.raises(InputError, match="a.parquet: cannot be read as Parquet, its footer is damaged"):
            plan(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["open.csv", "open.csv.gz", "line.jsonl"])
def test_a_row_above_the_limit_is_refused_while_it_is_read(tmp_path, plan, name):
    """A quote that never ends, or a file without line breaks, is not taken into memory whole."""
    start = b'uid,body\n1,x\n2,"' if "csv" in name else b'{"uid": 1, "body": "x"}\n{"uid": 2, "body": "'
    opener = gzip.open if name.endswith(".gz") else open
    with opener(tmp_path / name, "wb") as file:
        file.write(start)
        line = b"y" * 999 + (b"\n" if "csv" in name else b"y")
        for _ in range(MAX_ROW_BYTES // 1_000_000 + 2):
            file.write(line * 1000)
    with pytest.raises(InputError, match=rf"{name}, row 1: the row is larger than 64 MB"):
        plan(tmp_path / name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_a_row_of_300_mb_is_refused_with_its_row(tmp_path, write, plan, rows_of, name):
    """It is no text for a program; the message says where it stands and what to do."""
    path = write(tmp_path / name, [("a", "x"), ("b", "y" * 300_000_000)])
    with pytest.raises(InputError, match=rf"{name}, row 1.*: the row is larger than 64 MB.*split its text"):
        rows_of(plan(path))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_rows_of_ten_megabytes_are_rows(tmp_path, write, plan, rows_of, name):
    """Each is a shard of its own where it is above the bound, and they share one where that is wider."""
    rows = [("a", "é" * 5_000_000), ("b", "y"), ("c", "z" * 10_000_000)]
    path = write(tmp_path / name, rows)
    assert rows_of(plan(path)) == rows
    (shard,) = plan(path, max_bytes=1 << 28)
    assert rows_of([shard]) == rows


def test_bytes_are_read_as_text(tmp_path, plan, rows_of):
    """Some writers do not say of a string that it is one; what is no UTF-8 is named with its row."""
    for kind in (pa.binary(), pa.large_binary()):
        column = pa.array(["é".encode(), None, b""], kind)
        pq.write_table(pa.table({"uid": pa.array([b"a", b"b", b"c"], kind), "body": column}), tmp_path / "a.parquet")
        assert rows_of(plan(tmp_path / "a.parquet")) == [("a", "é"), ("b", None), ("c", "")]
        bad = pa.array([b"a", b"b", b"\xff"], kind)
        pq.write_table(pa.table({"uid": column, "body": bad}), tmp_path / "a.parquet")
        with pytest.raises(InputError, match=r"a.parquet, row 2, column 'body': not UTF-8"):
            rows_of(plan(tmp_path / "a.parquet", max_rows=1))


def test_dictionaries_that_are_not_utf8_name_the_row_group(tmp_path, plan, rows_of):
    """Arrow checks the values of a dictionary as it decodes them, before there are rows."""
    raw = pa.array([b"ok", b"\xff"], pa.binary())
    words = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    column = pa.DictionaryArray.from_arrays(pa.array([0, 0, 1]), words)
    pq.write_table(pa.table({"uid": ["a", "b", "c"], "body": column}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a.parquet, row group 0 \(rows 0 to 2\): .*UTF8"):
        rows_of(plan(tmp_path / "a.parquet"))


def test_nul_bytes_are_text_and_a_file_of_them_is_none(tmp_path, write, plan, rows_of):
    """A text may hold NUL; a file that a crash left preallocated holds nothing else."""
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        assert rows_of(plan(write(tmp_path / name, [("a", "x\0y"), ("b", "\0")]))) == [("a", "x\0y"), ("b", "\0")]
    (tmp_path / "zero.csv").write_bytes(bytes(500))
    with pytest.raises(InputError, match=r"zero.csv: holds NUL bytes and no columns"):
        plan(tmp_path / "zero.csv")
    (tmp_path / "zero.jsonl").write_bytes(bytes(500))
    with pytest.raises(InputError, match=r"zero.jsonl, row 0: not JSON"):
        plan(tmp_path / "zero.jsonl")


@pytest.mark.parametrize(
    ("kind", "value"),
    [("list<", ["a"]), ("struct<", {"a": 1}), ("int64", 3), ("double", 1.5), ("bool", True)],
)
@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_what_is_no_text_is_refused_with_its_type(tmp_path, plan, rows_of, kind, value, name):
    """Nested values, numbers and truth values are not turned into texts by guess."""
    import json

    path = tmp_path / name
    pq.write_table(pa.table({"uid": ["a"], "body": [value]}), path)
    if name == "a.jsonl":
        path.write_text('{"uid": "z", "body": null}\n' + json.dumps({"uid": "a", "body": value}))
    where = "a.jsonl, row 1" if name == "a.jsonl" else "a.parquet"
    with pytest.raises(InputError, match=rf"{where}: the text column 'body' holds {kind}.*`columns.text`"):
        rows_of(plan(path))


@pytest.mark.parametrize("value", [["a"], {"a": 1}, 1.5])
def test_what_is_no_id_is_refused_with_its_type(tmp_path, plan, rows_of, value):
    """An id is an integer or a string."""
    pq.write_table(pa.table({"uid": [value], "body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a.parquet: the id column 'uid' holds .*`columns.id`"):
        rows_of(plan(tmp_path / "a.parquet"))


def test_a_key_may_be_missing_from_rows_but_not_from_all(tmp_path, plan, rows_of):
    """Such a row has a null text, the first as well as the last; a file without the key is refused by name."""
    (tmp_path / "a.jsonl").write_text('{"uid": 1}\n{"uid": 2, "body": "x"}\n{"uid": 3}\n')
    for bound in (1, 10):
        assert rows_of(plan(tmp_path / "a.jsonl", max_rows=bound)) == [(1, None), (2, "x"), (3, None)]
    (tmp_path / "b.jsonl").write_text('{"uid": 4}\n' * 50 + '{"uid": 5, "bodi": "x"}\n')
    with pytest.raises(InputError, match=r"b.jsonl: no column 'body'; its columns are \['uid', 'bodi'\].*mean 'bodi'"):
        plan(tmp_path)


def test_files_of_different_schemas_go_together(tmp_path, plan, rows_of):
    """Other columns, another order of them and other kinds of strings are no matter."""
    kind = pa.dictionary(pa.int32(), pa.string())
    pq.write_table(pa.table({"uid": ["a"], "body": ["x"]}), tmp_path / "a.parquet")
    table = {"n": [1], "body": pa.array(["y"], pa.large_string()), "uid": pa.array(["b"], kind)}
    pq.write_table(pa.table(table), tmp_path / "b.parquet")
    pq.write_table(pa.table({"uid": ["c"], "body": pa.nulls(1)}), tmp_path / "c.parquet")
    assert rows_of(plan(tmp_path)) == [("a", "x"), ("b", "y"), ("c", None)]


def test_row_groups_without_rows_are_passed(tmp_path, plan, rows_of):
    """Before, between and behind others."""
    full, none = pa.table({"uid": ["a", "b"], "body": ["x", "y"]}), pa.table({"uid": ["a"], "body": ["x"]}).slice(1)
    with pq.ParquetWriter(tmp_path / "a.parquet", full.schema) as writer:
        for table in (none, full, none, none, full, none):
            writer.write_table(table)
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 6
    for bound in (1, 3, 10):
        assert rows_of(plan(tmp_path / "a.parquet", max_rows=bound)) == [("a", "x"), ("b", "y")] * 2
