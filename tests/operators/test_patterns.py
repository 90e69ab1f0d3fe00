"""Row patterns: counted exactly, however the rows are cut, and given up in the open where there are too many."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from operators import patterns
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
    assert found.votes.tolist() == sorted(found.votes.tolist())


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


@pytest.mark.parametrize("blocks", [1, 2, 10])
def test_too_many_patterns_are_said(votes: np.ndarray, blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the rows are cut: the sum is incomplete exactly where the whole is."""
    limit = 4 * len(Patterns.of(votes, 3).counts)
    for cells, complete in ((limit, True), (limit - 4, False)):
        monkeypatch.setattr(patterns, "MAX_CELLS", cells)
        total = sum((Patterns.of(b, 3) for b in np.array_split(votes, blocks)), start=Patterns.zero(4))
        assert total.complete is complete
        assert total.num_rows == 1000
        assert complete or len(total.counts) == 0
        assert Patterns.from_bytes(total.to_bytes()).complete is complete


def test_no_programs_and_no_rows_are_counted() -> None:
    """One pattern of nothing, or none."""
    assert Patterns.of(np.zeros((5, 0), np.int8), 2).counts.tolist() == [5]
    assert Patterns.of(np.zeros((0, 3), np.int8), 2).counts.tolist() == []


def test_other_programs_are_refused(votes: np.ndarray) -> None:
    """Patterns of different programs do not add up."""
    with pytest.raises(ValueError, match="4 programs cannot be added to 3"):
        Patterns.of(votes, 3) + Patterns.of(votes[:, :3], 3)
