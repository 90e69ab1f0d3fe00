"""The summary of labeling functions has Snorkel's columns and values."""

from __future__ import annotations

import numpy as np
import pytest

from engine.label_model.analysis import lf_summary

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
