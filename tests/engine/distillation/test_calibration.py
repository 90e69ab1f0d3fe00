"""Candidates are compared at the temperature that suits each."""

from __future__ import annotations

import numpy as np
import pytest

from engine.distillation.calibration import best_temperature, least_loss, losses_by_temperature
from engine.distillation.groups import Alone


def _drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(400, 3)) * 2
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return scores, np.array([rng.multinomial(5, p) / 5 for p in chances], np.float32)


@pytest.mark.parametrize("factor", [0.4, 1.0, 1.7, 2.9])
def test_how_sure_a_model_is_does_not_matter(factor: float) -> None:
    """Scores times any factor have the loss that the best temperature of a fine grid gives, to a two-thousandth."""
    scores, soft = _drawn()
    exact = scores / best_temperature(scores, soft, Alone())
    wanted = (np.log(np.exp(exact).sum(axis=1)) - (soft * exact).sum(axis=1)).sum()
    assert abs(least_loss(losses_by_temperature(factor * scores, soft)) / wanted - 1) < 5e-4


def test_no_temperature_of_the_grid_is_better() -> None:
    """Far too sure scores, beyond the grid, have the loss of its last temperature."""
    scores, soft = _drawn()
    losses = losses_by_temperature(40 * scores, soft)
    assert least_loss(losses) == losses.min() == losses[-1]


def test_losses_add_up_over_workers_and_weights() -> None:
    """The losses of two parts add up to those of all rows, and a row of weight 2 counts twice."""
    scores, soft = _drawn()
    parts = losses_by_temperature(scores[:150], soft[:150]) + losses_by_temperature(scores[150:], soft[150:])
    np.testing.assert_allclose(parts, losses_by_temperature(scores, soft))
    np.testing.assert_allclose(losses_by_temperature(scores, soft, np.full(400, 2.0)), 2 * parts)
    assert losses_by_temperature(scores[:0], soft[:0]).tolist() == [0.0] * len(parts)
