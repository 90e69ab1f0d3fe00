"""The loop finds the minimum of the objective, and a training that is resumed goes on where it stopped."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.sparse as sp

from engine.distillation.calibration import least_loss, losses_by_temperature
from engine.distillation.choice import Candidate, Choice
from engine.distillation.groups import Alone
from engine.distillation.lbfgs import History
from engine.distillation.loop import Progress, retrain, train
from engine.distillation.losses import Loss
from engine.distillation.rows import Rows
from operators.features import unit_rows


def _rows(num_rows: int, *, seed: int, num_classes: int = 3) -> Rows:
    rng = np.random.default_rng(seed)
    features = unit_rows(sp.random(num_rows, 20, density=0.3, format="csr", dtype=np.float32, rng=rng))
    soft = rng.dirichlet(np.ones(num_classes), size=num_rows).astype(np.float32)
    return Rows(features=features, soft=soft, folds=np.ones(num_rows, np.uint8))


def _train(penalties: tuple[float, ...], progress: Progress | None = None) -> tuple[Progress, list[Progress]]:
    told: list[Progress] = []
    done = train(
        _rows(200, seed=0),
        _rows(50, seed=1),
        regularization=penalties,
        epochs=200,
        progress=progress or Progress.start(20, 3),
        group=Alone(),
        on_round=lambda p: told.append(copy.deepcopy(p)),
    )
    return done, told


def test_the_gradient_vanishes_at_the_end() -> None:
    """After a round the weights are a minimum: no gradient is left in any direction, by finite differences."""
    penalty = 0.01
    done, _ = _train((penalty,))
    rows = _rows(200, seed=0)

    def objective(weights: np.ndarray) -> float:
        scores = rows.features.astype(np.float64) @ weights[:-1] + weights[-1]
        return float(
            Loss().values_and_errors(scores, rows.soft)[0].mean() + penalty / 2 * np.square(weights[:-1]).sum()
        )

    rng = np.random.default_rng(0)
    for _ in range(5):
        towards = rng.normal(size=done.weights.shape)
        slope = (objective(done.weights + 1e-4 * towards) - objective(done.weights - 1e-4 * towards)) / 2e-4
        assert abs(slope) < 0.01 * np.linalg.norm(towards)


def test_penalties_of_all_sizes_are_minimised_in_the_passes_of_a_round() -> None:
    """Forty passes come to the minimum of thousands, also where the penalties of weights differ by thousands."""
    rng = np.random.default_rng(0)
    features = unit_rows(sp.random(300, 400, density=0.05, format="csr", dtype=np.float32, rng=rng))
    soft = rng.dirichlet(np.ones(2), size=300).astype(np.float32)
    rows = Rows(features=features, soft=soft, folds=np.ones(300, np.uint8))
    factors = 10.0 ** rng.uniform(-1.5, 2, size=(400, 2))
    reached = [
        retrain(rows, regularization=(1e-3,), epochs=n, last_epochs=n, group=Alone(), loss=Loss(), factors=factors)
        for n in (40, 5000)
    ]

    def objective(weights: np.ndarray) -> float:
        scores = rows.features.astype(np.float64) @ weights[:-1] + weights[-1]
        return float(
            Loss().values_and_errors(scores, rows.soft)[0].mean() + 5e-4 * (factors * np.square(weights[:-1])).sum()
        )

    early, late = map(objective, reached)
    assert early < late * (1 + 1e-4)


def test_thinned_rows_choose_and_whole_ones_are_counted() -> None:
    """The loss of a candidate is that of the rows to judge by, its predicted shares those of the held-out rows."""
    heldout = _rows(50, seed=1)
    judged = heldout.with_features(_rows(50, seed=2).features)
    kept: dict[tuple[float, int], np.ndarray] = {}
    done = train(
        _rows(200, seed=0),
        heldout,
        judged=judged,
        regularization=(0.1, 0.01),
        epochs=10,
        progress=Progress.start(20, 3),
        group=Alone(),
        on_round=lambda _: None,
        on_candidate=lambda c, scores: kept.update({(c.regularization, c.epoch): scores}),
    )
    assert done.choice.best is not None
    weights = done.choice.weights
    losses = losses_by_temperature(judged.features @ weights[:-1] + weights[-1], judged.soft)
    assert done.choice.best.heldout_loss == pytest.approx(least_loss(losses) / 50, rel=1e-5)
    assert done.choice.best.heldout_loss == min(c.heldout_loss for c in done.candidates if not c.collapsed)
    whole = heldout.features @ weights[:-1] + weights[-1]
    shares = np.bincount(whole.argmax(axis=1), minlength=3) / 50
    assert done.choice.best.predicted_shares == pytest.approx(tuple(shares))
    best = done.choice.best
    np.testing.assert_allclose(kept[best.regularization, best.epoch], whole, rtol=1e-4, atol=1e-5)


def test_a_resumed_training_ends_in_the_same_weights() -> None:
    """Going on from the state after the first round gives the bits of a training that was not interrupted."""
    penalties = (0.1, 0.01, 0.001)
    whole, told = _train(penalties)
    assert [progress.rounds for progress in told] == [1, 2, 3]
    resumed, _ = _train(penalties, progress=told[0])
    assert np.array_equal(resumed.weights, whole.weights)
    assert np.array_equal(resumed.choice.weights, whole.choice.weights)
    assert resumed.candidates == whole.candidates


def test_a_quadratic_is_solved_in_few_steps() -> None:
    """With its memory the direction takes a quadratic of four unknowns to its minimum in a few exact steps."""
    scales = np.array([[1.0, 2.0, 3.0, 4.0]])
    at, history = np.ones((1, 4)), History(4)
    for _ in range(12):
        gradient = scales * at
        if np.abs(gradient).max() < 1e-9:
            break
        direction = history.direction(gradient)[:-1].reshape(at.shape)
        step = -float((gradient * direction).sum() / (scales * direction**2).sum())
        new = at + step * direction
        history.add(new - at, scales * (new - at))
        at = new
    assert np.abs(at).max() < 1e-6


def _candidate(loss: float, predicted: tuple[float, float]) -> Candidate:
    return Candidate(
        regularization=1.0,
        epoch=1,
        train_loss=loss,
        heldout_loss=loss,
        predicted_shares=predicted,
        label_shares=(0.8, 0.2),
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_a_lost_class_costs_more_than_loss(reverse: bool) -> None:
    """A candidate that lost a class is taken only while there is no other, in whatever order they come."""
    lost, kept, worse = _candidate(0.1, (1.0, 0.0)), _candidate(0.3, (0.85, 0.15)), _candidate(0.4, (0.8, 0.2))
    choice = Choice.none(np.zeros(1))
    for i, candidate in enumerate([lost, kept, worse][:: -1 if reverse else 1]):
        choice.offer(candidate, np.full(1, i))
    assert lost.collapsed == (1,)
    assert choice.best == kept
    assert choice.by_loss == lost
