"""Moments are exact counts that add up, however the rows are cut."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.moments import Moments

K = 3
BY_HAND = np.array([[0, 1, -1], [0, 0, -1], [2, 0, 1], [-1, -1, -1]], dtype=np.int8)


@pytest.fixture
def votes() -> np.ndarray:
    return np.random.default_rng(7).integers(-1, K, size=(500, 5)).astype(np.int8)


def test_counts_worked_out_by_hand() -> None:
    """Each count of a small matrix is what one gets by hand."""
    moments = Moments.of(BY_HAND, K)
    assert (moments.num_rows, moments.num_covered) == (4, 3)
    assert moments.first.tolist() == [[2, 0, 1], [2, 1, 0], [0, 1, 0]]
    assert moments.second[0, 0, 1].tolist() == [1, 1, 0]
    assert moments.second[0, 2, 2].tolist() == [0, 1, 0]
    # Rows 0 and 1 have two votes each: program 0 votes 0 in both, beside a 1 and another 0.
    assert moments.shares[1, 0, 0].tolist() == [3, 1, 0]
    assert moments.shares[2, 0, 2].tolist() == [1, 1, 1]
    assert moments.winners.tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_shares_are_the_means_of_rows() -> None:
    """Vote shares and majority shares are sums of per-row fractions."""
    moments = Moments.of(BY_HAND, K)
    np.testing.assert_allclose(moments.vote_shares()[0, 0], [1.5, 0.5, 0.0])
    np.testing.assert_allclose(moments.majority_shares(), [1 + 1 / 2 + 1 / 3, 1 / 2 + 1 / 3, 1 / 3])
    assert moments.majority_shares().sum() == pytest.approx(moments.num_covered)


@pytest.mark.parametrize("blocks", [1, 2, 7, 101])
def test_sum_of_blocks_is_the_whole(votes: np.ndarray, blocks: int) -> None:
    """However the rows are cut, the parts add up to the whole, bit for bit."""
    parts = [Moments.of(block, K) for block in np.array_split(votes, blocks)]
    assert sum(parts, start=Moments.zero(5, K)).to_bytes() == Moments.of(votes, K).to_bytes()
    backwards = sum(parts[::-1], start=Moments.zero(5, K))
    assert np.array_equal(backwards.vote_shares(), Moments.of(votes, K).vote_shares())


@settings(max_examples=40, deadline=None)
@given(arrays(np.int8, st.tuples(st.integers(0, 12), st.integers(1, 4)), elements=st.integers(-1, K - 1)))
def test_counts_are_what_a_loop_over_rows_counts(votes: np.ndarray) -> None:
    """First and second moments equal those of a plain loop."""
    moments = Moments.of(votes, K)
    n, m = votes.shape
    second = np.zeros((m, K, m, K), np.int64)
    for row in votes:
        for i, j in np.ndindex(m, m):
            if row[i] >= 0 and row[j] >= 0:
                second[i, row[i], j, row[j]] += 1
    assert moments.num_rows == n
    assert np.array_equal(moments.second, second)
    assert np.array_equal(np.einsum("iaia->ia", second), moments.first)


def test_many_programs_do_not_overflow_int8() -> None:
    """Positions beyond 127 are counted where they belong although votes are int8."""
    votes = np.full((3, 200), -1, dtype=np.int8)
    votes[:, 199] = [0, 4, 4]
    votes[:, 40] = [3, 3, -1]
    moments = Moments.of(votes, 5)
    assert moments.first[199].tolist() == [1, 0, 0, 0, 2]
    assert moments.second[40, 3, 199].tolist() == [1, 0, 0, 0, 1]
    assert moments.first.sum() == 5


@pytest.mark.slow
def test_long_blocks_are_counted_exactly() -> None:
    """A block is cut within, so that no count passes what float32 holds."""
    votes = np.zeros((3_000_000, 2), dtype=np.int8)
    moments = Moments.of(votes, 2)
    assert moments.second[0, 0, 1, 0] == 3_000_000
    assert moments.shares[1, 0, 0, 0] == 6_000_000


def test_round_trips(votes: np.ndarray) -> None:
    """JSON and bytes give back every count."""
    moments = Moments.of(votes, K)
    text = json.dumps(moments.to_json())
    assert Moments.from_json(json.loads(text)).to_bytes() == moments.to_bytes()
    assert Moments.from_bytes(moments.to_bytes()).to_json() == moments.to_json()


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (0, 0)])
def test_nothing_to_count(shape: tuple[int, int]) -> None:
    """A block without rows or programs has moments, all zero."""
    moments = Moments.of(np.zeros(shape, np.int8), 2)
    assert moments.num_rows == shape[0]
    assert moments.num_covered == 0
    assert Moments.from_bytes(moments.to_bytes()).first.shape == (shape[1], 2)


def test_refuses_what_is_no_label_matrix() -> None:
    """A vote outside the classes is refused, and so are moments of other programs."""
    with pytest.raises(ValueError, match="votes must be"):
        Moments.of(np.array([[3]]), 3)
    with pytest.raises(ValueError, match="cannot be added"):
        Moments.zero(2, 2) + Moments.zero(3, 2)


@pytest.mark.parametrize("scale", [1, 1_000_000_007])
def test_a_row_of_weight_w_is_w_rows(scale: int) -> None:
    """Weighted rows count as so many, exactly, beyond what a float of 32 bits holds too."""
    rng = np.random.default_rng(5)
    votes = rng.integers(-1, 3, size=(50, 4)).astype(np.int8)
    weights = rng.integers(0, 5, size=50)
    repeated = Moments.of(np.repeat(votes, weights, axis=0), 3)
    weighted = Moments.of(votes, 3, weights=weights * scale)
    assert weighted.num_rows == repeated.num_rows * scale
    assert weighted.num_covered == repeated.num_covered * scale
    for name in ("first", "second", "shares", "winners"):
        np.testing.assert_array_equal(getattr(weighted, name), getattr(repeated, name) * scale)
