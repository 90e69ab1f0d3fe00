"""The tally of programs is exact, adds up, and speaks Snorkel's words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from operators.schema import Fault
from operators.tally import Tally

# Program 0 votes in rows 0..2, meets others in 0 and 1, and is contradicted in 0.
BY_HAND = np.array([[0, 1, -1], [0, 0, -1], [1, -1, -1], [-1, -1, -1]], dtype=np.int8)


def test_counts_worked_out_by_hand() -> None:
    """Coverage, overlaps, conflicts and polarity of a small matrix are what one gets by hand."""
    tally = Tally.of(BY_HAND, None, 2)
    assert tally.votes.tolist() == [3, 2, 0]
    assert tally.overlaps.tolist() == [2, 2, 0]
    assert tally.conflicts.tolist() == [1, 1, 0]
    assert tally.polarity.tolist() == [[2, 1], [1, 1], [0, 0]]
    assert (tally.num_rows, tally.num_covered, tally.coverage) == (4, 3, 0.75)


def test_summary_has_snorkels_columns() -> None:
    """A row a program: j, Polarity, Coverage, Overlaps, Conflicts."""
    first, _, last = Tally.of(BY_HAND, None, 2).lf_summary()
    assert first == {"j": 0, "Polarity": [0, 1], "Coverage": 0.75, "Overlaps": 0.5, "Conflicts": 0.25}
    assert last == {"j": 2, "Polarity": [], "Coverage": 0.0, "Overlaps": 0.0, "Conflicts": 0.0}


def test_faults_are_counted_by_code() -> None:
    """Each fault is counted for its program, and no fault is not a fault."""
    faults = np.zeros((4, 3), np.uint8)
    faults[:, 2] = [Fault.TIMEOUT, Fault.TIMEOUT, Fault.CRASH, Fault.NONE]
    tally = Tally.of(BY_HAND, faults, 2)
    assert tally.fault_counts(2) == {"timeout": 2, "crash": 1}
    assert tally.fault_counts(0) == {}


@pytest.mark.parametrize("blocks", [1, 3, 50])
def test_sum_of_blocks_is_the_whole(blocks: int) -> None:
    """However the rows are cut, the parts add up to the whole."""
    rng = np.random.default_rng(3)
    votes = rng.integers(-1, 4, size=(200, 6)).astype(np.int8)
    faults = np.where(votes == -1, rng.integers(0, len(Fault), size=votes.shape), 0).astype(np.uint8)
    cut = zip(np.array_split(votes, blocks), np.array_split(faults, blocks), strict=True)
    total = sum((Tally.of(v, f, 4) for v, f in cut), start=Tally.zero(6, 4))
    assert total.to_bytes() == Tally.of(votes, faults, 4).to_bytes()


def test_round_trips() -> None:
    """JSON and bytes give back every count, without programs too."""
    for tally in (Tally.of(BY_HAND, None, 2), Tally.zero(0, 3)):
        assert Tally.from_bytes(tally.to_bytes()).to_json() == tally.to_json()
        assert Tally.from_json(tally.to_json()).polarity.shape == tally.polarity.shape


def test_no_rows_have_no_shares() -> None:
    """Shares of no rows are NaN, never 0."""
    tally = Tally.zero(1, 2)
    assert math.isnan(tally.coverage)
    assert math.isnan(tally.lf_summary()[0]["Coverage"])


def test_refuses_faults_that_do_not_fit() -> None:
    """Faults of another shape, an unknown code, or beside a vote are refused."""
    with pytest.raises(ValueError, match="shape of the votes"):
        Tally.of(BY_HAND, np.zeros((4, 2), np.uint8), 2)
    with pytest.raises(ValueError, match="fault codes"):
        Tally.of(BY_HAND, np.full((4, 3), 99, np.uint8), 2)
    with pytest.raises(ValueError, match="must hold ABSTAIN"):
        Tally.of(BY_HAND, np.full((4, 3), Fault.CRASH, np.uint8), 2)
    with pytest.raises(ValueError, match="cannot be added"):
        Tally.zero(2, 2) + Tally.zero(3, 2)
