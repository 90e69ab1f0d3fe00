"""The table of programs beside prompting, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from engine.metrics import Metrics, figures
from engine.stages.image_baselines import _counted, side_by_side
from operators.confusion import Confusion


def metrics(right: dict[str, int], *, rows: int = 30) -> Metrics:
    """Of `rows` rows a group, the first so many are right."""
    groups = [name for name in right for _ in range(rows)]
    hits = np.concatenate([np.arange(rows) < count for count in right.values()])
    gold = np.zeros(len(hits), np.int64)
    labels = np.where(hits, 0, 1)
    covered = np.ones(len(hits), bool)
    confusion = Confusion.of(gold, labels, np.eye(2)[labels], covered, groups=groups)
    return figures(confusion, class_names=["a", "b"], positive_class=1, largest_prior=0)


def test_gaps_are_beside_zero_shot_prompting() -> None:
    """The gap is accuracy less that of the worst group, and its change is against zero-shot prompting's."""
    table = side_by_side({"zero_shot": metrics({"l": 30, "w": 12}), "label_model": metrics({"l": 24, "w": 18})})
    assert list(table) == ["zero_shot", "label_model"]
    plain, ours = table["zero_shot"], table["label_model"]
    assert (plain.rows, plain.accuracy, plain.gap_change) == (60, 0.7, None)
    assert plain.gap == pytest.approx(0.3)
    assert ours.worst_group is not None
    assert (ours.worst_group.name, ours.worst_group.rows, ours.worst_group.accuracy) == ("w", 30, 0.6)
    assert ours.gap == pytest.approx(0.1)
    assert ours.gap_change == pytest.approx(-0.2)
    assert ours.accuracy_low < 0.7 < ours.accuracy_high
    assert ours.worst_group.low < 0.6 < ours.worst_group.high


def test_without_groups_there_is_no_gap() -> None:
    """Groups that are too small to be the worst leave the gap open, and with it its change."""
    table = side_by_side({"zero_shot": metrics({"l": 10}, rows=10), "label_model": metrics({"l": 10}, rows=40)})
    assert (table["zero_shot"].worst_group, table["zero_shot"].gap) == (None, None)
    assert (table["label_model"].gap, table["label_model"].gap_change) == (0.0, None)


def test_votes_of_several_are_counted_by_majority() -> None:
    """A majority is the answer, a tie is shared, and a row without votes is uncovered; unknown rows are left out."""
    votes = np.array([[0, 0, 1], [1, 0, -1], [-1, -1, -1], [1, 1, 1]], np.int8)
    gold, known = np.array([0, 1, 1, -1]), np.array([True, True, True, False])
    counted = _counted(gold, votes, ["a", "a", "b", "b"], known, 2)
    assert counted.matrix.tolist() == [[1, 0], [0, 0]]
    assert counted.total.tie_hits.tolist() == [0, 0, 1]
    assert counted.total.uncovered.tolist() == [0, 1]
    assert {name: hits.rows for name, hits in counted.groups.items()} == {"a": 2, "b": 1}
