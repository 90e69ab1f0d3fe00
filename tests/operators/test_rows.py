"""The index of a shard: ids and splits, checked once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.plan import Shard, plan_shards
from operators.duplicates import FindDuplicateIds
from operators.errors import ChangedError, InputError
from operators.rows import IndexShard, RowCounts, SplitRule, normalised, read_counts, rows_path, text_hash, without

HASHED = SplitRule(column=None, train_values=("train",), test_values=("test",), fraction=0.3)
BY_COLUMN = SplitRule(column="split", train_values=("train",), test_values=("test",), fraction=0.3)


def shards_of(tmp_path: Path, table: pa.Table, *, max_rows: int = 100, split: str | None = None) -> list[Shard]:
    path = tmp_path / "corpus.parquet"
    pq.write_table(table, path)
    return plan_shards([str(path)], max_rows=max_rows, max_bytes=1 << 20, columns=table.column_names, split=split)


def index(tmp_path: Path, shard: Shard, rule: SplitRule, *, id_column: str | None = None) -> tuple[pa.Table, RowCounts]:
    step = IndexShard(folder=str(tmp_path), digest="d", text="text", id_column=id_column, split=rule)
    assert json.loads(step(shard.to_json())) == {"key": shard.key, "skipped": {}}
    path = rows_path(tmp_path, shard.key, "d")
    return pq.read_table(path), read_counts(path)


def test_rows_keep_their_order_and_are_counted(tmp_path: Path):
    """Ids, splits and null texts stand in the order of the shard; the counts are those of the file."""
    table = pa.table({"text": ["a", None, "héé"], "split": ["train", "test", "train"]})
    (shard,) = shards_of(tmp_path, table)
    rows, counts = index(tmp_path, shard, BY_COLUMN)
    assert rows.column("id").to_pylist() == [f"corpus.parquet:{i}" for i in range(3)]
    assert rows.column("is_test").to_pylist() == [False, True, False]
    assert rows.column("null_text").to_pylist() == [False, True, False]
    assert counts == RowCounts(rows=3, test_rows=1, null_texts=1, text_bytes=6)


def test_texts_that_differ_in_case_and_blanks_stay_on_one_side(tmp_path: Path):
    """Duplicates of a text may not leak from train to test."""
    assert normalised("  Ä b\n C ") == normalised("a\u0308 B c")
    texts = [f"word {i}" for i in range(500)]
    table = pa.table({"text": texts + [t.upper().replace(" ", "  ") for t in texts]})
    (shard,) = shards_of(tmp_path, table, max_rows=2000)
    is_test = np.array(index(tmp_path, shard, HASHED)[0].column("is_test"))
    assert (is_test[:500] == is_test[500:]).all()
    # 500 draws with probability .3: four standard deviations are .08.
    assert abs(is_test.mean() - 0.3) < 0.08
    assert text_hash(None) == text_hash("")


def test_split_files_decide_over_the_rule(tmp_path: Path):
    """Rows of a test file are test rows, whatever their text."""
    (shard,) = shards_of(tmp_path, pa.table({"text": ["a", "b"]}), split="test")
    assert index(tmp_path, shard, HASHED)[0].column("is_test").to_pylist() == [True, True]


def test_an_unknown_split_value_is_named(tmp_path: Path):
    """A split value that the task does not name is refused with what to do, not put on some side."""
    (shard,) = shards_of(tmp_path, pa.table({"text": ["a"], "split": ["valid"]}))
    with pytest.raises(InputError, match=r"row 0: 'valid' in the split column 'split'.*data.train_values"):
        index(tmp_path, shard, BY_COLUMN)


def test_a_missing_id_is_named(tmp_path: Path):
    """A null in the id column is refused with its row."""
    table = pa.table({"text": ["a", "b"], "key": [7, None]})
    (shard,) = shards_of(tmp_path, table)
    with pytest.raises(InputError, match=r"corpus.parquet, row 1: no id in column 'key'"):
        index(tmp_path, shard, HASHED, id_column="key")


@pytest.mark.parametrize("kind", ["int", "str"])
@pytest.mark.parametrize("num_classes", [1, 2, 7])
def test_an_id_that_stands_twice_is_found_across_shards(tmp_path: Path, kind: str, num_classes: int):
    """Two equal ids meet in exactly one residue class, wherever their rows stand; different ids are let pass."""
    ids = [*range(50), 3] if kind == "int" else [*map(str, range(50)), "3"]
    shards = shards_of(tmp_path, pa.table({"text": ["t"] * 51, "key": ids}), max_rows=10)
    assert len(shards) > 3
    for shard in shards:
        index(tmp_path, shard, HASHED, id_column="key")
    find = FindDuplicateIds(
        folder=str(tmp_path), digest="d", shard_keys=[s.key for s in shards], num_classes=num_classes
    )
    found = [find(str(residue)) for residue in range(num_classes)]
    assert sum(result != b"[]" for result in found) == 1
    assert repr(ids[-1]).encode() in b"".join(found)


def test_a_shard_that_cannot_be_read_is_told_where_that_is_asked_for(tmp_path: Path):
    """With its key and the reason, and no file; without asking it is an error."""
    (shard,) = shards_of(tmp_path, pa.table({"text": ["a"], "split": ["nobody knows"]}))
    arguments = {"folder": str(tmp_path), "digest": "d", "text": "text", "id_column": None, "split": BY_COLUMN}
    said = json.loads(IndexShard(**arguments, skip_bad=True)(shard.to_json()))
    assert said["key"] == shard.key
    assert "nobody knows" in said["skipped"]["0"]
    assert not rows_path(tmp_path, shard.key, "d").exists()
    with pytest.raises(InputError, match="nobody knows"):
        IndexShard(**arguments)(shard.to_json())


def test_a_bad_file_costs_no_row_of_its_shard(tmp_path: Path):
    """The rows of the other files are indexed under the key of the shard that they make."""
    for i in range(20):
        (tmp_path / f"{i:02}.jsonl").write_text('{"text": "a"}\n' + ("{broken\n" if i in (3, 7) else ""))
    (shard,) = plan_shards([str(tmp_path)], max_rows=100, max_bytes=1 << 20, columns=["text"])
    arguments = {"folder": str(tmp_path), "digest": "d", "text": "text", "id_column": None, "split": HASHED}
    said = json.loads(IndexShard(**arguments, skip_bad=True)(shard.to_json()))
    assert list(said["skipped"]) == ["3", "7"]
    assert "03.jsonl, row 1: not JSON" in said["skipped"]["3"]
    left = without(shard, [3, 7])
    assert left is not None
    assert read_counts(rows_path(tmp_path, left.key, "d")).rows == 18
    assert not rows_path(tmp_path, shard.key, "d").exists()
    with pytest.raises(InputError, match=r"03.jsonl, row 1"):
        IndexShard(**arguments)(shard.to_json())


@pytest.mark.parametrize("change", ["rewritten", "removed"])
def test_a_file_that_changed_since_the_plan_is_never_skipped(tmp_path: Path, change: str):
    """Nothing is wrong with it: running again reads it, where skipping would leave its rows out for good."""
    (shard,) = shards_of(tmp_path, pa.table({"text": ["a"]}))
    path = tmp_path / "corpus.parquet"
    if change == "removed":
        path.unlink()
    else:
        pq.write_table(pa.table({"text": ["b", "c"]}), path)
    step = IndexShard(folder=str(tmp_path), digest="d", text="text", id_column=None, split=HASHED, skip_bad=True)
    with pytest.raises(ChangedError, match=r"corpus.parquet .*run again"):
        step(shard.to_json())


def test_a_disk_without_room_is_never_skipped(tmp_path: Path):
    """What cannot be written is no fault of the corpus."""
    (shard,) = shards_of(tmp_path, pa.table({"text": ["a"]}))
    mounted = tmp_path / "run"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(mounted)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        step = IndexShard(folder=str(mounted), digest="d", text="text", id_column=None, split=HASHED, skip_bad=True)
        with pytest.raises(InputError, match=r"cannot be written, it is read-only"):
            step(shard.to_json())
    finally:
        subprocess.run(["umount", "-l", mounted], check=True)
