"""Dawid-Skene and the triplet estimator, on planted tables and on the matrices that each is known to fail on."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import NotIdentifiable
from engine.label_model.baselines import majority_vote
from engine.label_model.dawid_skene import dawid_skene
from engine.label_model.model import LabelModel
from engine.label_model.synthetic import Planted, plant, plant_table
from engine.label_model.triplets import triplets
from operators import patterns
from operators.moments import Moments
from operators.patterns import Patterns


def planted(*, k: int, m: int = 12, n: int = 8000, coverage: tuple[float, float] = (0.6, 0.9)) -> Planted:
    rng = np.random.default_rng(k)
    theta = plant_table(num_programs=m, num_classes=k, accuracy=(0.45, 0.9), coverage=coverage, rng=rng)
    return plant(theta=theta, class_balance=np.full(k, 1 / k), num_rows=n, rng=rng)


def right(model: LabelModel, data: Planted) -> float:
    return float((model.predict_proba(data.votes).argmax(axis=1) == data.gold).mean())


def em(data: Planted, k: int, **more: tuple[float, ...]) -> LabelModel:
    return dawid_skene(Moments.of(data.votes, k), Patterns.of(data.votes, k), **more)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_dawid_skene_finds_a_planted_table(k: int) -> None:
    """Confusion matrices to within sampling error, and better labels than majority vote."""
    data = planted(k=k)
    model = em(data, k)
    planted_given = data.theta[:, :k] / data.theta[:, :k].sum(axis=1, keepdims=True)
    assert np.abs(np.exp(model.evidence.table[:, :k]) - planted_given).max() < 0.06
    assert right(model, data) > right(majority_vote(Moments.of(data.votes, k)), data)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_triplets_find_planted_accuracies(k: int) -> None:
    """Labels better than majority vote, and for two classes each accuracy to within sampling error."""
    data = planted(k=k)
    model = triplets(Moments.of(data.votes, k))
    assert right(model, data) > right(majority_vote(Moments.of(data.votes, k)), data)
    if k == 2:
        covered = 1 - data.theta[:, 2].mean(axis=1)
        accuracy = (data.theta[:, 0, 0] + data.theta[:, 1, 1]) / 2 / covered
        assert np.abs(1 / (1 + np.exp(-2 * model.evidence.table[:, 1, 1])) - accuracy).max() < 0.05


@pytest.mark.parametrize("fit", [em, lambda data, k: triplets(Moments.of(data.votes, k))])
def test_programs_and_classes_may_be_renamed(fit: object) -> None:
    """Another order of programs or names of classes gives the same labels, renamed."""
    assert callable(fit)
    data = planted(k=3, n=2000)
    soft = fit(data, 3).predict_proba(data.votes)
    programs, classes = np.random.default_rng(1).permutation(12), np.array([2, 0, 1])
    moved = Planted(votes=data.votes[:, programs], gold=data.gold, theta=data.theta, class_balance=data.class_balance)
    assert np.allclose(fit(moved, 3).predict_proba(moved.votes), soft, atol=1e-5)
    votes = np.where(data.votes < 0, -1, classes[data.votes]).astype(np.int8)
    renamed = Planted(votes=votes, gold=data.gold, theta=data.theta, class_balance=data.class_balance)
    assert np.allclose(fit(renamed, 3).predict_proba(votes)[:, classes], soft, atol=1e-5)


def test_a_given_balance_is_kept() -> None:
    """The user knows better."""
    data = planted(k=2, n=500)
    assert em(data, 2, class_balance=(0.9, 0.1)).evidence.prior.tolist() == [0.9, 0.1]
    assert triplets(Moments.of(data.votes, 2), class_balance=(0.9, 0.1)).evidence.prior.tolist() == [0.9, 0.1]


def test_a_sample_of_patterns_is_told_and_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the patterns still gives nearly the labels of all, and a warning."""
    data = planted(k=2, n=4000)
    whole = em(data, 2)
    monkeypatch.setattr(patterns, "MAX_PATTERNS", len(Patterns.of(data.votes, 2).counts) // 10)
    sampled = em(data, 2)
    assert any("a sample" in warning for warning in sampled.warnings)
    assert whole.warnings == ()
    assert (sampled.predict(data.votes) == whole.predict(data.votes)).mean() > 0.95


def test_patterns_of_other_rows_are_refused() -> None:
    """Half of the rows do not go with the moments of all."""
    votes = planted(k=2, n=100).votes
    with pytest.raises(ValueError, match="50 rows"):
        dawid_skene(Moments.of(votes, 2), Patterns.of(votes[:50], 2))


def test_nothing_to_fit_is_refused() -> None:
    """No rows, no programs."""
    empty = np.zeros((0, 3), np.int8)
    with pytest.raises(NotIdentifiable):
        dawid_skene(Moments.of(empty, 2), Patterns.of(empty, 2))
    with pytest.raises(NotIdentifiable):
        triplets(Moments.of(empty, 2))


@pytest.mark.parametrize("votes", [[[-1, -1], [-1, -1]], [[0, -1], [0, -1]], [[1], [1]], [[0, 1], [1, 0]]])
def test_odd_matrices_give_finite_labels(votes: list[list[int]]) -> None:
    """Nobody votes, one class alone, one program, only conflicts."""
    L = np.array(votes, np.int8)
    for model in (dawid_skene(Moments.of(L, 2), Patterns.of(L, 2)), triplets(Moments.of(L, 2))):
        soft = model.predict_proba(L)
        assert np.isfinite(soft).all()
        assert np.allclose(soft.sum(axis=1), 1)
