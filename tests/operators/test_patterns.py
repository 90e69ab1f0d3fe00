"""Row patterns: counted exactly, however the rows are cut, and given up in the open where there are too many."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from operators import patterns
from operators.moments import Moments
from operators.patterns import Patterns


@pytest.fixture
def votes() -> np.ndarray:
    """1000 rows of four programs over three classes, a third of the votes missing."""
    rng = np.random.default_rng(0)
    return np.where(rng.random((1000, 4)) < 0.3, -1, rng.integers(0, 3, (1000, 4))).astype(np.int8)


def as_dict(found: Patterns) -> dict[tuple[int, ...], int]:
    return {tuple(row): int(count) for row, count in zip(found.votes.tolist(), found.counts, strict=True)}


def test_patterns_are_counted(votes: np.ndarray) -> None:
    """Each distinct row once, with the number of rows that equal it."""
    found = Patterns.of(votes, 3)
    assert as_dict(found) == Counter(map(tuple, votes.tolist()))
    assert found.num_rows == found.counts.sum() == 1000
    assert found.complete


@pytest.mark.parametrize("blocks", [1, 2, 7, 101])
def test_the_sum_of_blocks_is_the_whole(votes: np.ndarray, blocks: int) -> None:
    """Bit for bit, in any order."""
    parts = [Patterns.of(block, 3) for block in np.array_split(votes, blocks)]
    whole = Patterns.of(votes, 3).to_bytes()
    assert sum(parts, start=Patterns.zero(4)).to_bytes() == whole
    assert sum(reversed(parts), start=Patterns.zero(4)).to_bytes() == whole


def test_bytes_come_back(votes: np.ndarray) -> None:
    """What is written is read."""
    found = Patterns.of(votes, 3)
    again = Patterns.from_bytes(found.to_bytes())
    assert as_dict(again) == as_dict(found)
    assert again.num_rows == 1000


@pytest.mark.parametrize("blocks", [1, 2, 10, 97])
def test_a_sample_of_patterns_does_not_depend_on_the_cut(
    votes: np.ndarray, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same patterns with the counts of the whole, and it says that it is a sample exactly where it is one."""
    everything = as_dict(Patterns.of(votes, 3))
    for limit, complete in ((len(everything), True), (len(everything) - 1, False), (20, False)):
        monkeypatch.setattr(patterns, "MAX_PATTERNS", limit)
        whole = Patterns.of(votes, 3)
        total = sum((Patterns.of(b, 3) for b in np.array_split(votes, blocks)), start=Patterns.zero(4))
        assert total.to_bytes() == whole.to_bytes()
        assert total.complete is complete
        assert total.num_rows == 1000
        assert len(total.counts) == limit
        assert as_dict(total).items() <= everything.items()
        assert Patterns.from_bytes(total.to_bytes()).complete is complete


def test_a_sample_is_no_matter_of_votes(votes: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are kept by hash: neither frequent nor rare ones, nor those of one class."""
    monkeypatch.setattr(patterns, "MAX_PATTERNS", 60)
    everything, sample = votes.mean(), Patterns.of(votes, 3).votes.mean()
    assert abs(sample - everything) < 0.25


@pytest.mark.parametrize(("m", "k"), [(1, 2), (4, 3), (10, 2), (25, 2), (60, 2), (8, 126)])
def test_rows_have_one_order_however_they_are_compared(m: int, k: int) -> None:
    """As their bytes stand, whether a row fits into an integer or not."""
    rng = np.random.default_rng(m)
    votes = rng.integers(-1, k, (500, m)).astype(np.int8)
    votes[::3] = -1
    expected = [tuple(row) for row in np.unique(votes.view(np.uint8), axis=0).view(np.int8).tolist()]
    _, first = np.unique(patterns._as_values(votes), return_index=True)
    assert [tuple(row) for row in votes[first].tolist()] == expected


def test_moments_of_patterns_are_those_of_the_rows(votes: np.ndarray) -> None:
    """The counts of a shard rest on it."""
    found = Patterns.of(votes, 3)
    moments = Moments.of(found.votes, 3, weights=found.counts)
    assert moments.to_bytes() == Moments.of(votes, 3).to_bytes()


def test_no_programs_and_no_rows_are_counted() -> None:
    """One pattern of nothing, or none."""
    assert Patterns.of(np.zeros((5, 0), np.int8), 2).counts.tolist() == [5]
    assert Patterns.of(np.zeros((0, 3), np.int8), 2).counts.tolist() == []


def test_other_programs_are_refused(votes: np.ndarray) -> None:
    """Patterns of different programs do not add up."""
    with pytest.raises(ValueError, match="4 programs cannot be added to 3"):
        Patterns.of(votes, 3) + Patterns.of(votes[:, :3], 3)
