"""Answers by value of a column: counted as by hand, the same however the rows are cut, and few values only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.plan import plan_shards
from operators.errors import InputError
from operators.label import labels_path
from operators.nuisance import Crossed, NuisanceShard, crossed
from operators.predict import predictions_path
from operators.votes import Notes, VoteStore

VALUES = ["land", "water", "land", None, "land"]
ANSWERS = np.array([[0, 1], [1, -1], [0, -1], [1, 1], [-1, 0]])


def test_counts_by_hand() -> None:
    """A row without a value is in none; who does not answer is counted last."""
    counts = crossed(VALUES, ANSWERS, 2).counts
    assert {name: table.tolist() for name, table in counts.items()} == {
        "land": [[2, 0, 1], [1, 1, 1]],
        "water": [[0, 1, 0], [0, 0, 1]],
    }


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_sum_of_blocks_is_the_whole(blocks: int) -> None:
    """Blocks that lack a value, or any, add up all the same, and survive being written."""
    total = Crossed(counts={})
    for rows in np.array_split(np.arange(5), blocks):
        part = crossed([VALUES[row] for row in rows], ANSWERS[rows], 2)
        total += Crossed.from_json(json.dumps(part.to_json()))
    assert total.to_json() == crossed(VALUES, ANSWERS, 2).to_json()


def test_numbers_are_refused() -> None:
    """A column of a value a row is no attribute; in one block, and over many of them."""
    many = [str(i) for i in range(101)]
    with pytest.raises(InputError, match=r"`columns.nuisance` holds more than 100 values, such as '0'"):
        crossed(many, np.zeros((101, 1), np.int64), 2)
    parts = [crossed(some, np.zeros((len(some), 1), np.int64), 2) for some in (many[:60], many[60:])]
    with pytest.raises(InputError, match="more than 100 values"):
        parts[0] + parts[1]


def test_votes_labels_and_predictions_of_a_shard(tmp_path: Path) -> None:
    """Programs first, then the labels, then the distilled model; train and test rows alike."""
    corpus = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"text": ["t"] * 5, "place": [0.0, 1.0, 0.0, None, 0.0]}), corpus)
    (shard,) = plan_shards([str(corpus)], max_rows=100, max_bytes=1 << 20, columns=["text", "place"])
    for folder in ("labels", "predictions"):
        (tmp_path / folder).mkdir()
    store = VoteStore(tmp_path)
    store.declare(("p",))
    notes = Notes(level=3, messages={}, quarantined={})
    votes = ANSWERS[:, :1].astype(np.int8)
    store.write(shard.key, ("p",), votes=votes, faults=np.zeros((5, 1), np.uint8), notes=notes)
    pq.write_table(pa.table({"label": ANSWERS[:, 1].astype(np.int8)}), labels_path(tmp_path, shard.key, "l"))
    pq.write_table(pa.table({"label": np.ones(5, np.int8)}), predictions_path(tmp_path, shard.key, "d"))
    step = NuisanceShard(
        folder=str(tmp_path),
        text="text",
        id_column=None,
        column="place",
        num_classes=2,
        program_keys=("p",),
        labels="l",
        predictions="d",
    )
    assert json.loads(step(shard.to_json())) == {
        "0": [[2, 0, 1], [1, 1, 1], [0, 3, 0]],
        "1": [[0, 1, 0], [0, 0, 1], [0, 1, 0]],
    }
