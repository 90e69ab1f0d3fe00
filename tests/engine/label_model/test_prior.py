"""The prior is shrunk where votes are selective, and left alone where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from engine.label_model.anchor import Tokens
from engine.label_model.prior import choose_prior
from operators.moments import Moments


def _prior(votes: np.ndarray, *, doubt: float) -> tuple[np.ndarray, str, np.ndarray]:
    moments = Moments.of(votes, 2)
    tokens = Tokens.of(moments)
    prior, rule = choose_prior(moments, tokens, doubt=doubt, class_balance=None)
    return prior, rule, tokens.balance


@pytest.fixture
def dense() -> np.ndarray:
    """Programs that vote for either class in every row, 10% of them for class 1."""
    return (np.random.default_rng(0).random((500, 5)) < 0.1).astype(np.int8)


def test_dense_open_votes_keep_their_balance(dense: np.ndarray) -> None:
    """However doubtful independence is, an imbalance that every program sees in every row stays."""
    prior, rule, balance = _prior(dense, doubt=2.0)
    assert rule == "estimated"
    np.testing.assert_allclose(prior, balance)


def test_one_sided_programs_have_theirs_shrunk(dense: np.ndarray) -> None:
    """Programs of one class each overstate the class with more of them: two fifths of the way to uniform."""
    one_sided = np.concatenate([np.where(dense == 0, 0, -1), np.where(dense[:, :1] == 1, 1, -1)], axis=1)
    prior, rule, balance = _prior(one_sided, doubt=2.0)
    assert rule == "shrunk"
    np.testing.assert_allclose(prior, 0.6 * balance + 0.4 * 0.5)


def test_shrinking_grows_as_coverage_and_independence_fall(dense: np.ndarray) -> None:
    """Half of the rows without a vote: half as much is measured; half of the doubt: half as much shrinking."""
    thin = dense.copy()
    thin[::2] = -1
    full, _, balance = _prior(thin, doubt=2.0)
    half, _, _ = _prior(thin, doubt=0.3)
    np.testing.assert_allclose(full, 0.8 * balance + 0.2 * 0.5)
    np.testing.assert_allclose(half, 0.9 * balance + 0.1 * 0.5)


def test_a_slip_does_not_make_a_program_open(dense: np.ndarray) -> None:
    """One vote in a thousand for the other class changes nothing."""
    votes = np.zeros((1000, 3), np.int8)
    votes[0, 0] = 1
    assert _prior(votes, doubt=2.0)[1] == "shrunk"


def test_independent_programs_are_believed(dense: np.ndarray) -> None:
    """Where matching explains the pairs, the estimate stands."""
    assert _prior(np.where(dense == 0, 0, -1), doubt=0.1)[1] == "estimated"
