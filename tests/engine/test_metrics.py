"""Figures are what one works out by hand, and scikit-learn's where it defines them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support

from engine.metrics import Metrics, figures
from engine.wilson import wilson
from operators.confusion import Confusion


def measure(confusion: Confusion, **changes: Any) -> Metrics:
    k = confusion.num_classes
    arguments: dict[str, Any] = {
        "class_names": [f"c{y}" for y in range(k)],
        "positive_class": k - 1,
        "largest_prior": 0,
    }
    return figures(confusion, **(arguments | changes))


def hard(gold: list[int], predicted: list[int], k: int, **columns: Any) -> Confusion:
    soft = np.full((len(gold), k), 0.1 / (k - 1))
    soft[np.arange(len(gold)), predicted] = 0.9
    return Confusion.of(np.array(gold), np.array(predicted), soft, np.ones(len(gold), dtype=bool), **columns)


def uneven() -> Confusion:
    """Gold 0 right, gold 1 right, gold 1 taken for 0, a tie with gold 1, and an uncovered row a class."""
    soft = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.5, 0.5], [0.7, 0.3], [0.7, 0.3]])
    predicted = np.array([0, 1, 0, -1, -1, -1])
    covered = np.array([True, True, True, True, False, False])
    return Confusion.of(np.array([0, 1, 1, 1, 0, 1]), predicted, soft, covered)


def test_accuracy_by_hand() -> None:
    """Of six rows two are right, a tie is half, and the uncovered row of the largest prior is one."""
    metrics = measure(uneven())
    assert metrics.accuracy == 3.5 / 6
    assert metrics.accuracy_covered == 2.5 / 4
    assert measure(uneven(), largest_prior=1).accuracy == 3.5 / 6


def test_f1_by_hand() -> None:
    """Ties are shared out: of class 1, 1.5 rows are right, 1.5 predicted and 4 there."""
    metrics = measure(uneven())
    assert metrics.f1 == pytest.approx(2 * 1.5 / (1.5 + 4))
    spam = metrics.per_class["c1"]
    assert (spam.precision, spam.recall, spam.support) == (1.0, 1.5 / 4, 4)
    ham = metrics.per_class["c0"]
    assert ham.precision == pytest.approx(2 / 4.5)
    assert (ham.recall, ham.support) == (1.0, 2)
    assert measure(uneven(), positive_class=0).f1 == ham.f1


def test_a_tie_of_three_counts_a_third() -> None:
    """A tie counts one over the number of its classes."""
    soft = np.full((1, 3), 1 / 3)
    counts = Confusion.of(np.array([2]), np.array([-1]), soft, np.array([True]))
    assert measure(counts).accuracy == pytest.approx(1 / 3)
    assert measure(counts).f1 == pytest.approx(2 / 3 / (1 / 3 + 1))


@pytest.mark.parametrize("k", [2, 3, 7])
def test_agrees_with_scikit_learn(k: int) -> None:
    """Without ties, F1, precision, recall and log loss are scikit-learn's."""
    rng = np.random.default_rng(k)
    soft = rng.dirichlet(np.ones(k), size=300)
    gold, predicted = rng.integers(k, size=300), soft.argmax(axis=1)
    metrics = measure(Confusion.of(gold, predicted, soft, np.ones(300, dtype=bool)))
    average = "binary" if k == 2 else "weighted"
    assert metrics.f1 == pytest.approx(f1_score(gold, predicted, average=average))
    assert metrics.log_loss == pytest.approx(log_loss(gold, soft, labels=range(k)), abs=1e-6)
    expected = precision_recall_fscore_support(gold, predicted, labels=range(k))
    got = [[getattr(c, name) for c in metrics.per_class.values()] for name in ("precision", "recall", "f1", "support")]
    np.testing.assert_allclose(got, expected)
    assert metrics.accuracy == metrics.accuracy_covered == (gold == predicted).mean()


def test_a_class_that_never_occurs() -> None:
    """Without predictions there is no precision, without rows no recall, and JSON has null for both."""
    metrics = measure(hard([0, 0, 1], [0, 0, 0], 3))
    one, two = metrics.per_class["c1"], metrics.per_class["c2"]
    assert (one.precision, one.recall, one.f1) == (None, 0.0, 0.0)
    assert (two.precision, two.recall, two.f1, two.support) == (None, None, None, 0)
    expected = f1_score([0, 0, 1], [0, 0, 0], average="weighted", zero_division=0)
    assert metrics.f1 == pytest.approx(expected)


def test_worst_group() -> None:
    """The worst group is the one of least accuracy among those of enough rows."""
    gold = [0] * 60
    predicted = [0] * 25 + [1] * 5 + [0] * 20 + [1] * 10
    groups = ["good"] * 25 + ["small"] * 5 + ["bad"] * 30
    metrics = measure(hard(gold, predicted, 2, groups=groups))
    assert {name: (g.rows, g.accuracy) for name, g in metrics.groups.items()} == {
        "bad": (30, 20 / 30),
        "good": (25, 1.0),
        "small": (5, 0.0),
    }
    assert metrics.worst_group is not None
    assert (metrics.worst_group.name, metrics.worst_group.rows) == ("bad", 30)
    assert (metrics.worst_group.low, metrics.worst_group.high) == wilson(20 / 30, 30)
    assert (metrics.groups["small"].low, metrics.groups["small"].high) == wilson(0.0, 5)
    assert (metrics.accuracy_low, metrics.accuracy_high) == wilson(45 / 60, 60)
    assert metrics.min_group_rows == 20
    without = measure(hard(gold, predicted, 2, groups=groups), min_group_rows=31)
    assert without.worst_group is None
    assert without.reasons["worst_group"] == "no group has 31 rows"


def test_calibration_by_hand() -> None:
    """Eight of ten rows at confidence 0.9 are right, so the error is 0.1."""
    metrics = measure(hard([0] * 10, [0] * 8 + [1] * 2, 2))
    assert metrics.calibration_error == pytest.approx(0.1)
    last = metrics.reliability[9]
    assert (last.low, last.high, last.rows, last.confidence, last.accuracy) == (0.9, 1.0, 10, 0.9, 0.8)
    assert metrics.reliability[0].accuracy is None


def test_without_votes_some_figures_have_a_reason() -> None:
    """What cannot be stated is None with a reason, and the JSON stays strict."""
    gold = np.array([0, 0])
    counts = Confusion.of(gold, gold - 1, np.tile([0.7, 0.3], (2, 1)), np.array([False, False]))
    metrics = measure(counts)
    assert metrics.accuracy == 1.0
    assert metrics.accuracy_covered is metrics.calibration_error is metrics.f1 is None
    assert set(metrics.reasons) == {"accuracy_covered", "calibration_error", "f1", "worst_group"}
    json.dumps(metrics.to_json(), allow_nan=False)


def test_refuses_no_rows_and_wrong_names() -> None:
    """Figures of no rows and names of other classes are refused."""
    with pytest.raises(ValueError, match="got none"):
        measure(Confusion.zero(2))
    with pytest.raises(ValueError, match="class names"):
        measure(uneven(), class_names=["one"])
