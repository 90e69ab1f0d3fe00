"""Votes on disk: columns by program, and the counts and labels that are made from them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.counts import Counts, CountShard, total
from operators.errors import OperatorError
from operators.label import LabelCounts, LabelShard, labels_path, list_column, read_counts
from operators.posterior import Evidence, soft_labels
from operators.rows import rows_path
from operators.schema import Fault
from operators.votes import Notes, VoteStore, set_name

VOTES = np.array([[0, 1, -1], [-1, -1, -1], [1, 1, 0], [0, -1, 0]], np.int8)
FAULTS = np.where(VOTES == 5, 1, 0).astype(np.uint8)
FAULTS[1, 2] = Fault.TIMEOUT
KEYS = ("p", "q", "r")

NOTES = Notes(level=3, messages={"r": "out of time"}, quarantined={})


def store_with(tmp_path: Path, *, shard: str = "s", sets: tuple[tuple[str, ...], ...] = (KEYS,)) -> VoteStore:
    store = VoteStore(tmp_path)
    for keys in sets:
        columns = [KEYS.index(key) for key in keys]
        store.declare(keys)
        store.write(shard, keys, votes=VOTES[:, columns], faults=FAULTS[:, columns], notes=NOTES)
    is_test = [False, False, True, False]
    rows = pa.table({"id": [10, 11, 12, 13], "is_test": is_test})
    path = rows_path(tmp_path, shard, "d")
    path.parent.mkdir(exist_ok=True)
    pq.write_table(rows, path)
    return store


def test_columns_come_back_in_the_order_asked(tmp_path: Path):
    """The label matrix is put together by program, whichever files its columns stand in."""
    store = store_with(tmp_path, sets=(("p", "r"), ("q",)))
    votes, faults = store.read("s", ("r", "q", "p"))
    np.testing.assert_array_equal(votes, VOTES[:, ::-1])
    np.testing.assert_array_equal(faults, FAULTS[:, ::-1])
    assert votes.dtype == np.int8


def test_missing_columns_are_told_by_shard(tmp_path: Path):
    """A shard lacks the programs that no set of its files holds, and only these."""
    store = store_with(tmp_path, sets=(("p", "r"),))
    assert store.missing(["s", "t"], KEYS) == {"s": ("q",), "t": KEYS}
    assert store.missing(["s"], ("r", "p")) == {}
    with pytest.raises(OperatorError, match="no votes of program q"):
        store.read("s", KEYS)


def test_notes_are_joined_in_the_order_of_the_shards(tmp_path: Path):
    """The first message of a program counts, the lowest level, and only what was said of the programs asked for."""
    store = store_with(tmp_path, shard="s")
    second = Notes(level=2, messages={"r": "later", "p": "oops"}, quarantined={"p": "crashed"})
    store.write("t", KEYS, votes=VOTES, faults=FAULTS, notes=second)
    found = store.notes(["s", "t"], KEYS)
    assert found == Notes(level=2, messages={"r": "out of time", "p": "oops"}, quarantined={"p": "crashed"})
    assert store.notes(["t", "s"], ["r"]) == Notes(level=2, messages={"r": "later"}, quarantined={})


def test_a_declared_set_without_its_file_counts_for_nothing(tmp_path: Path):
    """A run that died between declaring a set and writing a shard's file leaves that shard to do."""
    store = store_with(tmp_path)
    store.path("votes", "s", set_name(KEYS)).unlink()
    assert store.missing(["s"], KEYS) == {"s": KEYS}


def test_votes_whose_faults_are_gone_are_computed_again(tmp_path: Path):
    """Names are not brought to the disk one by one, so a power cut may take the first of two back."""
    store = store_with(tmp_path)
    store.path("faults", "s", set_name(KEYS)).unlink()
    assert store.missing(["s"], KEYS) == {"s": KEYS}


def test_counts_keep_test_rows_out_of_the_moments(tmp_path: Path):
    """Moments are those of training rows; test rows are tallied apart; shards add up."""
    for shard in ("s", "t"):
        store_with(tmp_path, shard=shard)
        CountShard(folder=str(tmp_path), rows="d", program_keys=KEYS, num_classes=2)(shard)
    counts = total(tmp_path, ["s", "t"], rows="d", program_keys=KEYS, num_classes=2)
    assert counts.moments.num_rows == 6
    assert counts.train.num_rows == 6
    assert counts.train.num_covered == 4
    assert counts.test.num_rows == 2
    assert counts.train.fault_counts(2) == {"timeout": 2}
    assert counts.test.polarity.tolist() == [[0, 2], [0, 2], [2, 0]]
    assert Counts.from_bytes(counts.to_bytes()).to_bytes() == counts.to_bytes()


def test_labels_say_why_there_is_none(tmp_path: Path):
    """A covered row has its class, a tie and an uncovered row have -1 with the reason, and all have the id."""
    store_with(tmp_path)
    table = np.zeros((3, 3, 2))
    table[:, 0, 0] = table[:, 1, 1] = 1.0
    evidence = Evidence(table=table, prior=np.array([0.5, 0.5]))
    plain = Evidence(table=3.0 * table[:, :, ::-1], prior=np.array([0.5, 0.5]))
    step = LabelShard(folder=str(tmp_path), rows="d", program_keys=KEYS, evidence=evidence, majority=plain, digest="e")
    step("s")
    counts = read_counts(labels_path(tmp_path, "s", "e"))
    assert counts.labels.tolist() == [1, 1]
    assert counts.against_majority.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert counts.uncovered == 1
    doubled = counts + counts
    assert LabelCounts.from_json(json.dumps(doubled.to_json())).labels.tolist() == [2, 2]
    labels = pq.read_table(labels_path(tmp_path, "s", "e"))
    assert labels.column("id").to_pylist() == [10, 11, 12, 13]
    assert labels.column("label").to_pylist() == [-1, -1, 1, 0]
    assert labels.column("majority_label").to_pylist() == [-1, -1, 0, 1]
    assert labels.column("reason").to_pylist() == ["tie", "uncovered", "labeled", "labeled"]
    assert labels.column("is_test").to_pylist() == [False, False, True, False]
    np.testing.assert_array_equal(np.array(labels.column("soft_label").to_pylist()), soft_labels(VOTES, evidence))


def test_list_column_keeps_rows_apart():
    """A matrix becomes one list a row, in order."""
    assert list_column(np.array([[1.0, 2.0], [3.0, 4.0]])).to_pylist() == [[1.0, 2.0], [3.0, 4.0]]
