"""A sample of a corpus: training rows alone, spread over all of it, the same each time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.plan import Shard, plan_shards
from operators.rows import IndexShard, SplitRule
from operators.sample import sample_texts

RULE = SplitRule(column="split", train_values=("train",), test_values=("test",), fraction=0.0)


@pytest.fixture
def indexed(tmp_path: Path) -> list[Shard]:
    """1000 rows, every fifth a test row, every seventh without a text; in 20 shards of 50."""
    texts = [None if row % 7 == 0 else f"row {row}" for row in range(1000)]
    splits = ["test" if row % 5 == 0 else "train" for row in range(1000)]
    pq.write_table(pa.table({"text": texts, "split": splits}), tmp_path / "rows.parquet", row_group_size=50)
    shards = plan_shards([str(tmp_path / "rows.parquet")], max_rows=50, max_bytes=1 << 20, columns=["text", "split"])
    assert len(shards) == 20
    index = IndexShard(folder=str(tmp_path), digest="d", text="text", id_column=None, split=RULE)
    for shard in shards:
        index(shard.to_json())
    return shards


def taken(shards: list[Shard], folder: Path, num_rows: int) -> list[int]:
    """Sample, and return the numbers of the rows."""
    texts = sample_texts(shards, folder=folder, digest="d", text="text", id_column=None, num_rows=num_rows)
    assert texts.null_count == 0
    return [int(text.split()[1]) for text in texts.to_pylist()]


def test_a_sample_holds_training_rows_with_a_text(indexed: list[Shard], tmp_path: Path) -> None:
    """Neither a test row nor a null is shown to a program that is being tried."""
    rows = taken(indexed, tmp_path, 160)
    assert len(rows) == len(set(rows)) == 160
    assert all(row % 5 and row % 7 for row in rows)
    assert rows == sorted(rows)


def test_a_sample_is_spread_over_the_corpus(indexed: list[Shard], tmp_path: Path) -> None:
    """A corpus that is sorted by date or class is seen from one end to near the other."""
    rows = taken(indexed, tmp_path, 80)
    assert min(rows) < 50
    assert max(rows) > 850
    assert len({row // 50 for row in rows}) == 8


def test_a_sample_of_a_small_corpus_is_all_of_it(indexed: list[Shard], tmp_path: Path) -> None:
    """More is not there."""
    assert len(taken(indexed, tmp_path, 5000)) == sum(1 for row in range(1000) if row % 5 and row % 7)


def test_short_shards_leave_their_share_to_others(indexed: list[Shard], tmp_path: Path) -> None:
    """The sample is full as long as the corpus can fill it."""
    assert len(taken(indexed, tmp_path, 400)) == 400
    assert taken(indexed, tmp_path, 400) == taken(indexed, tmp_path, 400)


def test_no_training_rows_give_an_empty_sample(tmp_path: Path) -> None:
    """Not an error here: the corpus says so elsewhere."""
    assert taken([], tmp_path, 10) == []
