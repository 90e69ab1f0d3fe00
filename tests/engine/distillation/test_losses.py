"""Losses fall along their derivatives, and targets and weights do what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from engine.distillation.calibration import best_temperature, reliability
from engine.distillation.groups import Alone
from engine.distillation.losses import Loss, LossName
from operators.end_model import softmax

SOFT = np.random.default_rng(0).dirichlet(np.ones(3), size=6)
SCORES = np.random.default_rng(1).normal(size=(6, 3))


@pytest.mark.parametrize("name", ["cross_entropy", "symmetric", "generalized"])
def test_errors_are_the_derivatives(name: LossName) -> None:
    """By finite differences, in every score."""
    loss = Loss(name=name)
    _, errors = loss.values_and_errors(SCORES, SOFT)
    for y in range(3):
        step = np.zeros((1, 3))
        step[0, y] = 1e-5
        high, low = (loss.values_and_errors(SCORES + sign * step, SOFT)[0] for sign in (1, -1))
        assert (high - low) / 2e-5 == pytest.approx(errors[:, y], abs=1e-6)


@pytest.mark.parametrize("name", ["symmetric", "generalized"])
def test_a_row_that_contradicts_pulls_less(name: LossName) -> None:
    """Where the model is sure of another class than the label, the pull is less, beside a row near the border."""
    scores, sure = np.array([[8.0, 0.0], [0.5, 0.0]]), np.array([[0.0, 1.0], [0.0, 1.0]])

    def share(loss: Loss) -> float:
        far, near = np.abs(loss.values_and_errors(scores, sure)[1]).max(axis=1)
        return float(far / near)

    assert share(Loss(name=name)) < 0.8 * share(Loss())


def test_targets_are_sharpened_and_smoothed() -> None:
    """A temperature of a half squares the odds; smoothing leaves no class without a share; the default changes none."""
    soft = np.array([[0.8, 0.2]])
    sharp = Loss(temperature=0.5).targets(soft)
    assert sharp[0, 0] / sharp[0, 1] == pytest.approx(16)
    assert Loss(smoothing=0.5).targets(np.array([[1.0, 0.0]])).tolist() == [[0.75, 0.25]]
    assert Loss().targets(soft) is soft


def test_unsure_rows_and_common_classes_weigh_less() -> None:
    """A row of even soft labels weighs nothing, a sure one all; with balance every class adds up to the same."""
    soft = np.array([[0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])
    weights = Loss(confidence_power=1.0).weights(soft, soft.mean(axis=0))
    assert weights is not None
    assert weights[:2].tolist() == pytest.approx([0, 1])
    assert 0 < weights[2] < 1
    hard = np.eye(2)[[0, 0, 0, 1]]
    balanced = Loss(by_class=True).weights(hard, hard.mean(axis=0))
    assert balanced is not None
    assert balanced[:3].sum() == pytest.approx(balanced[3])
    assert Loss().weights(soft, soft.mean(axis=0)) is None


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.5])
def test_the_planted_temperature_is_found(planted: float) -> None:
    """Scores that are off by a factor get it back, to within a percent or two."""
    scores = np.random.default_rng(2).normal(size=(500, 3))
    assert best_temperature(planted * scores, softmax(scores), Alone()) == pytest.approx(planted, rel=0.02)


def test_reliability_counts_every_row_in_its_bin() -> None:
    """Bins hold mean confidence and the mean soft label of the predicted class; empty ones hold none."""
    scores = np.log(np.array([[0.95, 0.05], [0.05, 0.95], [0.65, 0.35]]))
    bins = reliability(scores, np.array([[1.0, 0.0], [0.5, 0.5], [0.3, 0.7]]), Alone())
    assert [found.rows for found in bins] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 2]
    assert bins[9].confidence == pytest.approx(0.95)
    assert bins[9].soft_label == pytest.approx(0.75)
    assert bins[0].confidence is None
