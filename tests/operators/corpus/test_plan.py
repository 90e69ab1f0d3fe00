"""The cut depends on the corpus and the bounds alone, and says what it cannot cut."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.plan import plan_shards
from operators.errors import InputError

ROWS = [(f"u{i}", f"text {i}") for i in range(20)]


def test_many_small_files_are_one_shard(tmp_path, write, plan, rows_of):
    """A hundred files of two rows make a shard, and their rows come in the order of the files' names."""
    for i in range(100):
        write(tmp_path / f"{i:03}.csv", [(f"u{i}", "a"), (f"v{i}", "b")])
    (shard,) = plan(tmp_path, max_rows=1000)
    assert (shard.num_rows, len(shard.pieces)) == (200, 100)
    assert rows_of([shard])[:3] == [("u0", "a"), ("v0", "b"), ("u1", "a")]


def test_a_row_group_is_cut_evenly(tmp_path, write, plan):
    """A row group above the bound is cut into parts that differ by a row at most."""
    shards = plan(write(tmp_path / "a.parquet", ROWS, row_group_size=100), max_rows=6)
    assert [shard.num_rows for shard in shards] == [5, 5, 5, 5]


def test_the_same_corpus_gives_the_same_keys(tmp_path, write, plan):
    """Planning twice gives equal shards; another bound, split or file gives other keys."""
    path = write(tmp_path / "a.csv", ROWS)
    shards = plan(path)
    keys = {shard.key for shard in shards}
    assert plan(path) == shards
    assert all(len(key) == 16 and int(key, 16) >= 0 for key in keys)
    assert not keys & {shard.key for shard in plan(path, max_rows=4)}
    other = plan_shards([str(path)], max_rows=5, max_bytes=1 << 20, columns=["body"], split="test")
    assert not keys & {shard.key for shard in other}
    assert {shard.split for shard in other} == {"test"}
    write(path, [*ROWS, ("z", "more")])
    assert not keys & {shard.key for shard in plan(path)}


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_missing_column(tmp_path, write, plan, name):
    """A missing column is said with the file, what is there and the nearest name."""
    path = write(tmp_path / name, ROWS)
    with pytest.raises(InputError, match=rf"{name}: no column 'bdy'; .*\['uid', 'body'\]; did you mean 'body'\?"):
        plan(path, columns=["bdy"])


def test_wrong_separator_is_noticed(tmp_path, plan):
    """A file of semicolons under the name of CSV says so, rather than only that a column is missing."""
    (tmp_path / "a.csv").write_text("uid;body\n1;x\n")
    with pytest.raises(InputError, match="separate its columns by another sign"):
        plan(tmp_path / "a.csv")


def test_a_column_named_twice(tmp_path, plan):
    """Two columns of one name leave open which is meant."""
    (tmp_path / "a.csv").write_text("uid,body,body\n1,x,y\n")
    with pytest.raises(InputError, match="more than one column is named 'body'"):
        plan(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_a_corpus_without_rows(tmp_path, write, plan, name):
    """A corpus of no rows is an error that names what was searched."""
    with pytest.raises(InputError, match=f"no rows in .*{name}"):
        plan(write(tmp_path / name, []))


def test_files_without_rows_beside_others(tmp_path, write, plan, rows_of):
    """Empty parts, as distributed writers leave them, add nothing and break nothing."""
    write(tmp_path / "a.csv", [])
    (tmp_path / "b.csv").write_bytes(b"")
    write(tmp_path / "c.csv", ROWS)
    assert rows_of(plan(tmp_path)) == ROWS


def test_files_that_cannot_be_read_may_be_skipped(tmp_path):
    """The others are planned as they would be alone, and each skipped file has its reason; all of them is an error."""
    pq.write_table(pa.table({"body": ["a", "b"]}), tmp_path / "good.parquet")
    whole = (tmp_path / "good.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.parquet").write_bytes(b"")
    skipped: dict[str, str] = {}
    options = {"max_rows": 10, "max_bytes": 1 << 20, "columns": ["body"]}
    shards = plan_shards([str(tmp_path)], **options, skipped=skipped)
    alone = plan_shards([str(tmp_path / "good.parquet")], **options, base=str(tmp_path))
    assert [shard.key for shard in shards] == [shard.key for shard in alone]
    assert sorted(Path(path).name for path in skipped) == ["cut.parquet", "empty.parquet"]
    assert all(Path(path).name in why for path, why in skipped.items())
    (tmp_path / "good.parquet").unlink()
    with pytest.raises(InputError, match=r"none of 2 file\(s\) can be read; the first: .*cut.parquet"):
        plan_shards([str(tmp_path)], **options, skipped={})
    with pytest.raises(InputError, match=r"cut.parquet"):
        plan_shards([str(tmp_path)], **options)


@pytest.mark.slow
def test_twenty_thousand_tiny_files_are_a_few_shards(tmp_path, plan, rows_of):
    """Time and the plan's size grow with the files and no faster; all rows come, in the order of the files."""
    spent = {}
    for files in (2_000, 20_000):
        folder = tmp_path / str(files)
        folder.mkdir()
        for i in range(files):
            (folder / f"{i:05}.jsonl").write_text(f'{{"uid": "{i}", "body": "x"}}\n')
        start = time.process_time()
        shards = plan(folder, max_rows=16_384)
        spent[files] = time.process_time() - start
        assert len(shards) == -(-files // 16_384)
        assert sum(len(shard.to_json()) for shard in shards) < 600 * files
    assert rows_of(shards) == [(str(i), "x") for i in range(20_000)]
    # Ten times the files; thirty leaves room for noise and none for a square.
    assert spent[20_000] < 30 * spent[2_000]
    assert len(shards[0].files()) < 500
