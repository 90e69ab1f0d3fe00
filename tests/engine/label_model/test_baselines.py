"""Votes counted, plainly and weighted."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import NotIdentifiable
from engine.label_model.baselines import majority_vote, weighted_vote
from operators.moments import Moments


@pytest.fixture
def votes() -> np.ndarray:
    return np.random.default_rng(0).integers(-1, 3, size=(400, 6)).astype(np.int8)


def _counts(votes: np.ndarray) -> np.ndarray:
    return np.stack([(votes == y).sum(axis=1) for y in range(3)], axis=1)


@pytest.mark.parametrize("balance", [None, (0.98, 0.01, 0.01)])
def test_the_majority_wins(votes: np.ndarray, balance: tuple[float, ...] | None) -> None:
    """One vote more decides, whatever the prior."""
    model = majority_vote(Moments.of(votes, 3), class_balance=balance)
    counts = _counts(votes)
    ordered = np.sort(counts, axis=1)
    clear = ordered[:, -1] > ordered[:, -2]
    assert np.array_equal(model.predict(votes)[clear], counts.argmax(axis=1)[clear])


def test_ties_stay_ties_without_a_prior(votes: np.ndarray) -> None:
    """Classes with as many votes abstain under a uniform prior; another one decides between them."""
    tied = np.array([[0, 1, -1, -1, -1, -1]])
    moments = Moments.of(votes, 3)
    assert majority_vote(moments).predict(tied).tolist() == [-1]
    assert majority_vote(moments, class_balance=(0.2, 0.5, 0.3)).predict(tied).tolist() == [1]


def test_weights_favour_programs_that_agree() -> None:
    """Of two programs that contradict each other, the one that agrees with the rest decides."""
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 2, size=500)
    votes = np.tile(gold[:, None], (1, 4))
    votes[:, 3] = rng.integers(0, 2, size=500)
    model = weighted_vote(Moments.of(votes, 2))
    assert model.predict(np.array([[-1, -1, 1, 0]])).tolist() == [1]
    assert model.method == "weighted_vote"


def test_silent_programs_and_missing_classes_are_named() -> None:
    """Both warn, and neither fails."""
    votes = np.array([[0, -1], [0, -1]])
    for vote in (majority_vote, weighted_vote):
        warnings = vote(Moments.of(votes, 2)).warnings
        assert len(warnings) == 2
        assert "never vote" in warnings[0]
        assert "class 1" in warnings[1]


def test_nothing_to_count_is_refused() -> None:
    """No program or no row is an error."""
    for empty in (Moments.zero(0, 2), Moments.zero(2, 2)):
        with pytest.raises(NotIdentifiable):
            majority_vote(empty)
