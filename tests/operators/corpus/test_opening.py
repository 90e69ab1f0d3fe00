"""A file that changes or goes away between planning and reading never gives a row."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from operators.corpus import jsonl
from operators.corpus import read as reading
from operators.corpus.plan import plan_shards
from operators.corpus.read import read_shard
from operators.errors import ChangedError

ROWS = [(f"u{i}", f"text {i}") for i in range(40)]
NAMES = ["a.parquet", "a.csv", "a.jsonl", "a.csv.gz"]


@pytest.mark.parametrize("name", NAMES)
def test_expected_and_found_are_named_with_what_to_do(tmp_path, write, plan, rows_of, name):
    """Size and stamp of both, and that running again is enough."""
    shards = plan(write(tmp_path / name, ROWS))
    before = (tmp_path / name).stat()
    write(tmp_path / name, ROWS[:10])
    after = (tmp_path / name).stat()
    said = (
        rf"{name} changed since .*expected {before.st_size} bytes with stamp {before.st_mtime_ns}, "
        rf"found {after.st_size} bytes with stamp {after.st_mtime_ns}; run again"
    )
    with pytest.raises(ChangedError, match=said):
        rows_of(shards)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_went_away_is_named(tmp_path, write, plan, rows_of, name):
    """Also where the reader before it holds it open."""
    shards = plan(write(tmp_path / name, ROWS))
    assert rows_of(shards[:1]) == ROWS[: shards[0].num_rows]
    (tmp_path / name).unlink()
    with pytest.raises(ChangedError, match=rf"{name} is gone since the corpus was planned; put it back, or run again"):
        rows_of(shards[1:])


@pytest.mark.parametrize("name", NAMES)
def test_the_same_size_and_another_content_are_noticed(tmp_path, write, plan, rows_of, name):
    """Between two shards of the file: one half of the rows would be old, the other new."""
    path = write(tmp_path / name, ROWS)
    shards = plan(path)
    assert rows_of(shards[:4]) == ROWS[: sum(shard.num_rows for shard in shards[:4])]
    content = path.read_bytes()
    beside = tmp_path / "beside"
    beside.write_bytes(content.replace(b"text", b"Text"))
    beside.replace(path)
    os.utime(path, ns=(1, shards[0].pieces[0].num_bytes))
    with pytest.raises(ChangedError, match=rf"{name} changed"):
        rows_of(shards[4:])


@pytest.mark.parametrize("damaged", [False, True])
def test_a_file_written_while_it_is_read_is_noticed(tmp_path, write, plan, monkeypatch, damaged):
    """The look before reading sees the old file, the one after it the new; what looks like damage is a change too."""
    path = write(tmp_path / "a.jsonl", ROWS)
    (shard,) = plan(path, max_rows=100)
    lines = path.read_bytes()

    def read_and_write(piece, *, columns):
        path.write_bytes(lines.replace(b"{", b"[" if damaged else b"{ ", 1))
        return jsonl.read(piece, columns=columns)

    monkeypatch.setitem(reading._FORMATS, "jsonl", read_and_write)
    with pytest.raises(ChangedError, match="a.jsonl changed"):
        read_shard(shard, text="body", id="uid")


def test_only_the_changed_shards_are_others_after_it(tmp_path, write, plan):
    """Of a corpus whose files are shards of their own, planning again gives the same keys but for one file."""
    for i in range(6):
        write(tmp_path / f"{i}.csv", ROWS[:5])
    before = [shard.key for shard in plan(tmp_path)]
    write(tmp_path / "3.csv", [("z", "other"), *ROWS[1:5]])
    after = [shard.key for shard in plan(tmp_path)]
    assert [i for i in range(6) if before[i] != after[i]] == [3]


def test_a_file_that_goes_away_while_it_is_planned_is_never_skipped(tmp_path, write):
    """Planning finds files first and opens them later; in between one may go."""
    for i in range(3):
        write(tmp_path / f"{i}.csv", ROWS[:5])

    class Skipped(dict[str, str]):
        """Removes a file as soon as the first bad one is written down."""

        def __setitem__(self, path: str, why: str) -> None:
            (tmp_path / "2.csv").unlink()
            super().__setitem__(path, why)

    Path(tmp_path / "1.csv").write_text('uid,body\n"')
    with pytest.raises(ChangedError, match=r"2.csv is gone"):
        plan_shards([str(tmp_path)], max_rows=5, max_bytes=1000, columns=["body"], skipped=Skipped())
