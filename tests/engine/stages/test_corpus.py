"""Planning: what may move a cut, and files that would be on both sides of the split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from engine.errors import ConfigError
from engine.stages.corpus import plan
from engine.task import LabelingTask


def task(data: dict[str, Any], **columns: str) -> LabelingTask:
    return LabelingTask.model_validate(
        {
            "name": "t",
            "data": data,
            "columns": columns,
            "classes": [{"name": "a"}, {"name": "b"}],
            "instruction": "Label it.",
            "shards": {"max_bytes": 4096},
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        rows = [f"text {name} {i} " + "x" * (i % 50) for i in range(400)]
        frame = pd.DataFrame({"text": rows, "gold": ["a", "b"] * 200, "site": ["s"] * 400})
        frame.to_parquet(tmp_path / f"{name}.parquet", row_group_size=100)
    return tmp_path


def test_a_file_on_both_sides_is_refused(folder: Path):
    """A glob for training that takes in the test file would test the model on what it was trained on."""
    with pytest.raises(ConfigError, match=r"two.parquet is both in `data.train` and in `data.test`"):
        plan(task({"train": [str(folder / "*.parquet")], "test": [str(folder / "two.parquet")]}))


def test_files_of_train_and_test_give_shards_of_their_side(folder: Path):
    """Each shard knows the side that its file was named on."""
    shards = plan(task({"train": [str(folder / "one.parquet")], "test": [str(folder / "two.parquet")]}))
    assert {(shard.split, Path(piece.path).stem) for shard in shards for piece in shard.pieces} == {
        ("train", "one"),
        ("test", "two"),
    }


def test_naming_gold_later_costs_no_votes(folder: Path):
    """Columns that evaluation alone reads move no cut and no key."""
    source = {"source": [str(folder / "*.parquet")]}
    bare = [shard.key for shard in plan(task(source))]
    assert len(bare) > 3
    assert [shard.key for shard in plan(task(source, gold="gold", group="site"))] == bare
    assert [shard.key for shard in plan(task(source, nuisance="site"))] == bare
