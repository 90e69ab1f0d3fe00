"""The summary of labeling functions has Snorkel's columns and values."""

from __future__ import annotations

import numpy as np
import pytest

from engine.label_model.analysis import lf_summary, pairwise_agreement
from engine.label_model.model import LabelModel
from operators.moments import Moments

L = np.array([[0, 1, -1], [0, 0, -1], [1, -1, -1], [-1, -1, -1]])


def test_summary_worked_out_by_hand() -> None:
    """Coverage, overlaps, conflicts and polarity by name of the function."""
    summary = lf_summary(L, names=["a", "b", "c"])
    assert list(summary.columns) == ["j", "Polarity", "Coverage", "Overlaps", "Conflicts"]
    assert summary.loc["a"].tolist() == [0, [0, 1], 0.75, 0.5, 0.25]
    assert summary.loc["c"].tolist() == [2, [], 0.0, 0.0, 0.0]


def test_gold_adds_accuracy() -> None:
    """Correct and incorrect votes are counted on rows with gold; without a vote accuracy is NaN."""
    summary = lf_summary(L, np.array([0, 1, 1, -1]))
    assert summary["Correct"].tolist() == [2, 0, 0]
    assert summary["Incorrect"].tolist() == [1, 2, 0]
    assert summary["Emp. Acc."].tolist()[:2] == [2 / 3, 0.0]
    assert np.isnan(summary["Emp. Acc."].iloc[2])


def test_lengths_must_agree() -> None:
    """Gold of other rows and names of other programs are refused."""
    with pytest.raises(ValueError, match="gold must have shape"):
        lf_summary(L, np.array([0]))
    with pytest.raises(ValueError, match="2 names"):
        lf_summary(L, names=["a", "b"])


def test_estimates_stand_beside_what_is_counted() -> None:
    """With a model: accuracy, its interval, and who repeats whom."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, 2000)
    L = np.stack([np.where(rng.random(2000) < a, gold, 1 - gold) for a in (0.9, 0.8, 0.7, 0.75)], axis=1)
    L = np.concatenate([L, L[:, :1]], axis=1).astype(np.int8)
    model = LabelModel.fit(L, num_classes=2)
    summary = lf_summary(L, gold, model=model)
    assert summary["Repeats"].tolist() == [[4], [], [], [], [0]]
    np.testing.assert_array_equal(summary["Est. Acc."], model.accuracies)
    assert (summary["Est. Low"] <= summary["Est. Acc."]).all()
    assert (summary["Est. Acc."] <= summary["Est. High"]).all()
    plain = lf_summary(L, model=LabelModel.fit(L, num_classes=2, method="majority_vote"))
    assert plain["Est. Low"].isna().all()
    assert plain["Repeats"].tolist() == [[]] * 5


def test_agreement_by_hand() -> None:
    """Of three rows that both vote on, two alike; and two programs that never meet."""
    L = np.array([[0, 0, -1], [1, 1, -1], [1, 0, -1], [-1, -1, 1]], np.int8)
    found = pairwise_agreement(Moments.of(L, 2))
    np.testing.assert_allclose(found, [[1, 2 / 3, np.nan], [2 / 3, 1, np.nan], [np.nan, np.nan, 1]])
