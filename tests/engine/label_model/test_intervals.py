"""Intervals are as wide as the answers scatter from sample to sample, and are None where they cannot be had."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.label_model import intervals as module
from engine.label_model.intervals import Intervals, intervals_of
from engine.label_model.model import LabelModel
from engine.label_model.synthetic import plant, plant_table
from operators import patterns as counting
from operators.patterns import Patterns


def votes(*, n: int, m: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(3)
    theta = plant_table(num_programs=m, num_classes=2, rng=rng)
    return plant(theta=theta, class_balance=np.array([0.4, 0.6]), num_rows=n, rng=np.random.default_rng(seed)).votes


def found(L: np.ndarray) -> tuple[LabelModel, Intervals]:
    model = LabelModel.fit(L, num_classes=2)
    intervals = intervals_of(model, Patterns.of(L, 2))
    assert intervals is not None
    return model, intervals


@pytest.mark.slow
def test_intervals_are_as_wide_as_answers_scatter() -> None:
    """Over 25 samples the standard deviation of an accuracy is what one sample's interval says, to a factor of 1.5."""
    answers, widths = [], []
    for seed in range(25):
        model, intervals = found(votes(n=3000, seed=seed))
        answers.append(np.append(model.accuracies, model.class_balance[0]))
        pairs = np.concatenate([intervals.accuracies, intervals.class_balance[:1]])
        widths.append((pairs[:, 1] - pairs[:, 0]) / 2 / 1.96)
    ratio = np.mean(widths, axis=0) / np.std(answers, axis=0)
    assert (ratio > 1 / 1.5).all()
    assert (ratio < 1.5).all()


def test_more_rows_make_them_narrower_and_the_answer_is_inside() -> None:
    """Four times the rows, about half the width."""
    _, few = found(votes(n=1500))
    model, many = found(votes(n=24_000))
    width = [np.diff(x.accuracies, axis=1).mean() for x in (few, many)]
    assert width[1] < 0.5 * width[0]
    assert (many.accuracies[:, 0] <= model.accuracies).all()
    assert (model.accuracies <= many.accuracies[:, 1]).all()


def test_a_sample_of_patterns_gives_about_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The spread of a sample is scaled to that of all rows."""
    L = votes(n=6000, m=9)
    _, whole = found(L)
    monkeypatch.setattr(counting, "MAX_PATTERNS", 400)
    _, sampled = found(L)
    ratio = np.diff(sampled.accuracies, axis=1) / np.diff(whole.accuracies, axis=1)
    assert 0.4 < np.median(ratio) < 2.5


def test_they_are_written_and_read() -> None:
    """As JSON, NaN of a silent program included."""
    L = np.insert(votes(n=500), 2, -1, axis=1)
    _, intervals = found(L)
    assert np.isnan(intervals.accuracies[2]).all()
    read = Intervals.from_json(json.loads(json.dumps(intervals.to_json(), allow_nan=False)))
    np.testing.assert_array_equal(read.accuracies, intervals.accuracies)
    np.testing.assert_array_equal(read.class_balance, intervals.class_balance)


def test_none_where_they_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another method, a handful of rows, or so many votes that it would take minutes."""
    L = votes(n=300)
    assert intervals_of(LabelModel.fit(L, num_classes=2, method="majority_vote"), Patterns.of(L, 2)) is None
    assert intervals_of(LabelModel.fit(L[:10], num_classes=2), Patterns.of(L[:10], 2)) is None
    monkeypatch.setattr(module, "MOST_VOTES", 11)
    assert intervals_of(LabelModel.fit(L, num_classes=2), Patterns.of(L, 2)) is None
