"""Gold beside predictions: which values mean which class, and that only test rows count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.plan import plan_shards
from operators.errors import InputError
from operators.evaluate import EvaluateShard, Judged
from operators.posterior import Evidence
from operators.predict import predictions_path
from operators.rows import rows_path
from operators.votes import Notes, VoteStore

INDEX = {"0": 0, "1": 1, "ham": 0, "spam": 1}
# Row 3 is a training row; row 4 has no gold.
GOLD = ["ham", "spam", "1", "spam", None]
NOTES = Notes(level=3, messages={}, quarantined={})
VOTES = np.array([[0, -1], [1, 0], [-1, -1], [0, 0], [1, 1]], np.int8)


def judge(tmp_path: Path, gold: list[object]) -> Judged:
    corpus = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"text": ["t"] * 5, "gold": gold, "site": ["a", "b", "a", "a", None]}), corpus)
    columns = ["text", "gold", "site"]
    (shard,) = plan_shards([str(corpus)], max_rows=100, max_bytes=1 << 20, columns=columns)
    for folder in ("rows", "predictions"):
        (tmp_path / folder).mkdir(exist_ok=True)
    ids = pa.array([f"corpus.parquet:{i}" for i in range(5)])
    is_test = [True, True, True, False, True]
    pq.write_table(pa.table({"id": ids, "is_test": is_test}), rows_path(tmp_path, shard.key, "r"))
    store = VoteStore(tmp_path)
    store.declare(("p", "q"))
    store.write(shard.key, ("p", "q"), votes=VOTES, faults=np.zeros((5, 2), np.uint8), notes=NOTES)
    labels = np.array([0, 1, 1, 0, 0], np.int8)
    probabilities = [[0.9, 0.1] if label == 0 else [0.2, 0.8] for label in labels]
    predicted = pa.table({"id": ids, "probabilities": probabilities, "label": labels})
    pq.write_table(predicted, predictions_path(tmp_path, shard.key, "p"))
    table = np.zeros((2, 3, 2))
    table[:, 0, 0] = table[:, 1, 1] = 1.0
    evidence = Evidence(table=table, prior=np.array([0.5, 0.5]))
    step = EvaluateShard(
        folder=str(tmp_path),
        rows="r",
        text="text",
        id_column=None,
        gold="gold",
        group="site",
        gold_index=INDEX,
        program_keys=("p", "q"),
        majority=evidence,
        label_model=evidence,
        predictions="p",
    )
    return Judged.from_bytes(step(shard.to_json()))


def test_test_rows_with_gold_are_counted(tmp_path: Path):
    """Worked by hand: three test rows with gold; one right vote, one tie, one uncovered."""
    judged = judge(tmp_path, GOLD)
    majority = judged.confusions["majority_vote"]
    assert majority.matrix.tolist() == [[1, 0], [0, 0]]
    assert majority.total.rows == 3
    assert majority.total.covered == 2
    assert majority.total.uncovered.tolist() == [0, 1]
    assert majority.total.tie_hits.tolist() == [0, 0, 1]
    end_model = judged.confusions["end_model"]
    assert end_model.matrix.tolist() == [[1, 0], [0, 2]]
    assert {name: hits.rows for name, hits in majority.groups.items()} == {"a": 2, "b": 1}
    assert judged.voted.tolist() == [2, 1]
    assert judged.right.tolist() == [2, 0]
    assert judged.unlabeled == 1


def test_sum_of_shards_is_the_whole(tmp_path: Path):
    """Counts add up, and survive being written."""
    judged = judge(tmp_path, GOLD)
    twice = Judged.zero(2, 2) + judged + Judged.from_bytes(judged.to_bytes())
    assert twice.confusions["label_model"].total.rows == 6
    assert twice.right.tolist() == [4, 0]


def test_whole_numbers_mean_the_same_however_they_are_stored(tmp_path: Path):
    """A column of 0 and 1 with a null is read by pandas as floats; 1.0 is class 1."""
    judged = judge(tmp_path, [0.0, 1.0, 1.0, 1.0, None])
    assert judged.confusions["end_model"].matrix.tolist() == [[1, 0], [0, 2]]
    assert judged.unlabeled == 1


def test_an_unknown_gold_label_is_named(tmp_path: Path):
    """A gold label that is no class is named with file, row and the known values."""
    with pytest.raises(InputError, match=r"corpus.parquet: row 'corpus.parquet:1' has 'eggs'.*'ham'.*gold_values"):
        judge(tmp_path, ["ham", "eggs", "1", "spam", None])
