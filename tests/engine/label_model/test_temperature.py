"""The temperature: found from how well programs predict each other, without a gold label."""

from __future__ import annotations

import numpy as np
import pytest

from engine.label_model.model import LabelModel
from engine.label_model.synthetic import plant, plant_table


def independent(*, m: int, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw votes of programs that err for themselves."""
    rng = np.random.default_rng(seed)
    theta = plant_table(num_programs=m, num_classes=2, accuracy=(0.6, 0.8), coverage=(0.7, 0.9), rng=rng)
    data = plant(theta=theta, class_balance=np.array([0.5, 0.5]), num_rows=n, rng=rng)
    return data.votes, data.gold


def with_hard_rows(*, m: int, n: int, hard: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw votes of programs that are good on most rows, and all of them blind on some."""
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 2, n)
    accuracy = np.where(rng.random(n) < hard, 0.5, 0.9)
    right = rng.random((n, m)) < accuracy[:, None]
    votes = np.where(right, gold[:, None], 1 - gold[:, None])
    return np.where(rng.random((n, m)) < 0.2, -1, votes).astype(np.int8), gold


def log_loss(model: LabelModel, votes: np.ndarray, gold: np.ndarray) -> float:
    covered = (votes >= 0).any(axis=1)
    soft = model.predict_proba(votes)[covered]
    return float(-np.log(soft[np.arange(len(soft)), gold[covered]]).mean())


def test_programs_that_fail_together_are_cooled() -> None:
    """Their agreement is worth less than if each erred for itself, and the soft labels say so."""
    votes, gold = with_hard_rows(m=15, n=6000, hard=0.5)
    model = LabelModel.fit(votes, num_classes=2)
    assert model.evidence.temperature < 0.35
    naive = LabelModel.fit(votes, num_classes=2, method="dawid_skene")
    assert log_loss(model, votes, gold) < log_loss(naive, votes, gold) - 0.05


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_independent_programs_keep_their_say(seed: int) -> None:
    """Where naive Bayes holds, soft labels are nearly as good as those of the planted truth."""
    votes, gold = independent(m=9, n=4000, seed=seed)
    model = LabelModel.fit(votes, num_classes=2)
    best = LabelModel.fit(votes, num_classes=2, method="dawid_skene")
    assert model.evidence.temperature > 0.4
    assert log_loss(model, votes, gold) < log_loss(best, votes, gold) + 0.08


def test_programs_that_never_meet_are_left_as_they_are() -> None:
    """Nothing predicts anything: the largest temperature, which is the plain one."""
    votes = np.full((90, 3), -1, np.int8)
    for j in range(3):
        votes[30 * j : 30 * (j + 1), j] = np.arange(30) % 2
    assert LabelModel.fit(votes, num_classes=2).evidence.temperature == pytest.approx(1.2)
