"""Predictions against gold are counted exactly, and the parts add up to the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from operators.confusion import MAX_GROUPS, Confusion
from operators.errors import InputError

# Rows: right; wrong; a tie of 0 and 1 with gold 1; a tie of 0 and 2 with gold 1; uncovered with gold 2.
GOLD = np.array([0, 1, 1, 1, 2])
PREDICTED = np.array([0, 2, -1, -1, -1], dtype=np.int8)
SOFT = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0], [0.4, 0.4, 0.2], [0.45, 0.1, 0.45], [0.3, 0.3, 0.4]])
COVERED = np.array([True, True, True, True, False])
GROUPS = ["a", "a", "b", "", None]


def by_hand() -> Confusion:
    return Confusion.of(GOLD, PREDICTED, SOFT, COVERED, GROUPS)


def random_rows(num_rows: int, num_classes: int = 4) -> tuple[Any, ...]:
    rng = np.random.default_rng(5)
    soft = rng.dirichlet(np.ones(num_classes), size=num_rows)
    soft[rng.random(num_rows) < 0.2] = 1 / num_classes
    covered = rng.random(num_rows) < 0.8
    tie = soft.max(axis=1) - soft.min(axis=1) < 1e-9
    predicted = np.where(tie | ~covered, -1, soft.argmax(axis=1)).astype(np.int8)
    groups = rng.choice(["x", "y", "z"], size=num_rows).astype(object)
    groups[rng.random(num_rows) < 0.1] = None
    return rng.integers(num_classes, size=num_rows), predicted, soft, covered, groups


def test_counts_worked_out_by_hand() -> None:
    """Hard labels, ties and uncovered rows of a small block are what one gets by hand."""
    counts = by_hand()
    assert counts.matrix.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert counts.ties == {(1, 2, 0): 2, (1, 2, 1): 1, (1, 2, 2): 1}
    assert counts.total.to_json() == {
        "rows": 5,
        "covered": 4,
        "correct": 1,
        "correct_covered": 1,
        "tie_hits": [0, 0, 1, 0],
        "uncovered": [0, 0, 1],
    }
    assert {name: (hits.rows, hits.correct) for name, hits in counts.groups.items()} == {
        "": (1, 0),
        "a": (2, 1),
        "b": (1, 0),
    }
    assert counts.groups["b"].tie_hits.tolist() == [0, 0, 1, 0]


def test_bins_and_log_loss_worked_out_by_hand() -> None:
    """Rows with a hard label fall into bins; a probability of 0 costs ln 1e15 and not infinity."""
    counts = by_hand()
    assert counts.bins[5].tolist() == [1, 1, 500_000]
    assert counts.bins[9].tolist() == [1, 0, 1_000_000]
    assert counts.bins.sum() == 1_500_003
    # -ln of 0.5, 1e-15, 0.4, 0.1 and 0.4, in millionths.
    assert counts.log_loss == 693_147 + 34_538_776 + 916_291 + 2_302_585 + 916_291


def test_a_label_without_a_vote_counts_as_predicted() -> None:
    """The distilled model labels rows that no program votes on: a hit, but not among the covered."""
    counts = Confusion.of(np.array([1]), np.array([1]), np.array([[0.2, 0.8]]), np.array([False]))
    assert (counts.total.correct, counts.total.correct_covered, counts.total.covered) == (1, 0, 0)
    assert counts.total.uncovered.tolist() == [0, 0]


@pytest.mark.parametrize("blocks", [1, 2, 7, 101])
def test_sum_of_blocks_is_the_whole(blocks: int) -> None:
    """However the rows are cut, the parts add up to the whole, bit for bit."""
    rows = random_rows(500)
    cut = zip(*(np.array_split(column, blocks) for column in rows), strict=True)
    total = sum((Confusion.of(*block) for block in cut), start=Confusion.zero(4))
    assert total.to_bytes() == Confusion.of(*rows).to_bytes()


def test_every_row_is_counted_once() -> None:
    """Hard labels, ties and uncovered rows make up all rows."""
    counts = Confusion.of(*random_rows(500))
    ties = sum(rows / t for (_, t, _), rows in counts.ties.items())
    assert counts.matrix.sum() + round(ties) + counts.total.uncovered.sum() == counts.total.rows == 500
    assert counts.bins[:, 0].sum() == counts.matrix.sum()


def test_round_trips() -> None:
    """Bytes give back every count, without rows too."""
    for counts in (by_hand(), Confusion.zero(3)):
        assert Confusion.from_bytes(counts.to_bytes()).to_bytes() == counts.to_bytes()


def test_an_empty_block_counts_nothing() -> None:
    """A shard without test rows is the zero."""
    none = np.zeros(0, np.int64)
    counts = Confusion.of(none, none, np.zeros((0, 3)), none.astype(bool), [])
    assert counts.to_bytes() == Confusion.zero(3).to_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gold": np.array([0, 1, 1, 1, 3])}, "0..2"),
        ({"gold": np.array([0, 1, 1, 1, -1])}, "leave rows without gold out"),
        ({"predicted": PREDICTED[:4]}, "5 rows"),
        ({"soft": SOFT[0]}, "shape"),
        ({"soft": SOFT * 2}, "probabilities"),
        ({"soft": np.full((5, 3), np.nan)}, "probabilities"),
        ({"groups": ["a"]}, "5 rows"),
    ],
)
def test_refuses_what_does_not_fit(changes: dict[str, Any], message: str) -> None:
    """Shapes that differ, classes out of range and what is no probability are refused."""
    columns = {"gold": GOLD, "predicted": PREDICTED, "soft": SOFT, "covered": COVERED, "groups": GROUPS}
    with pytest.raises(ValueError, match=message):
        Confusion.of(**(columns | changes))


def test_refuses_ids_for_groups() -> None:
    """A group column of too many values is refused, in a block and in a sum."""
    n = MAX_GROUPS
    gold, soft, covered = np.zeros(n, np.int64), np.tile([0.9, 0.1], (n, 1)), np.ones(n, bool)
    halves = [Confusion.of(gold, gold, soft, covered, [f"{half}{i % 700}" for i in range(n)]) for half in "ab"]
    with pytest.raises(InputError, match="1000 values"):
        halves[0] + halves[1]


def test_refuses_other_classes() -> None:
    """Counts over other numbers of classes do not add up."""
    with pytest.raises(ValueError, match="cannot be added"):
        Confusion.zero(2) + Confusion.zero(3)
