"""Figures of an evaluation, each defined once: from counts of predictions against gold to what a report states.

A row that no program votes on counts as the class with the largest prior, and a tie of t classes as 1/t of a
row in each of them, in accuracy, F1, precision and recall alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from engine.wilson import wilson
from operators.confusion import MICRO, NUM_BINS, Confusion
from operators.hits import Hits
from operators.schema import Floats

MIN_GROUP_ROWS = 20
"""Accuracies of smaller groups say more about chance than about the group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """One class; shares are 0..1 and None where there is nothing to divide by.

    Attributes:
        precision: None where the class is never predicted.
        recall: None where no row is of the class.
        f1: None where both hold; 0 where no prediction of the class is right.
        support: rows of the class, by gold.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures:
    """One group of rows; accuracy as over all rows, with its 95% interval."""

    rows: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstGroup:
    """The group of least accuracy; of several, the first by name. Its interval is the group's own."""

    name: str
    rows: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows with a hard label whose confidence is in [low, high); the last bin holds 1 too.

    Attributes:
        confidence: mean of the largest soft label, None without rows.
        accuracy: share of rows whose hard label is gold, None without rows.
    """

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Figures of one set of predictions on rows with gold.

    Attributes:
        rows: rows with gold, at least 1.
        accuracy: over all rows, 0..1.
        accuracy_low: of its 95% interval by `wilson`, for which rows were drawn.
        accuracy_high: likewise.
        accuracy_covered: over rows with a vote; None without such rows.
        f1: binary with the positive class for two classes, weighted by support otherwise.
        log_loss: mean of -ln P(gold) over all rows, in nats.
        calibration_error: expected calibration error over rows with a hard label, 0..1; None without.
        per_class: by class name, in the order of the classes.
        groups: by group name; empty without a group column.
        worst_group: None without a group of enough rows.
        min_group_rows: how many are enough.
        reliability: bins of confidence, from low to high.
        reasons: {figure: why it is None}.
    """

    rows: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    accuracy_covered: float | None
    f1: float | None
    log_loss: float
    calibration_error: float | None
    per_class: Mapping[str, ClassFigures]
    groups: Mapping[str, GroupFigures]
    worst_group: WorstGroup | None
    min_group_rows: int
    reliability: tuple[Bin, ...]
    reasons: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def figures(
    confusion: Confusion,
    *,
    class_names: Sequence[str],
    positive_class: int,
    largest_prior: int,
    min_group_rows: int = MIN_GROUP_ROWS,
) -> Metrics:
    """Work out the figures.

    Args:
        confusion: counts over rows with gold.
        class_names: (k,) in the order of the indices.
        positive_class: whose F1 is stated for two classes.
        largest_prior: class that a row without votes counts as; from the label model, never from gold.
        min_group_rows: rows a group must have to be the worst.

    Raises:
        ValueError: there are no rows, or a class is out of range.
    """
    k = confusion.num_classes
    rows = confusion.total.rows
    if rows == 0:
        raise ValueError("figures need rows with gold, got none")
    if len(class_names) != k or not (0 <= positive_class < k and 0 <= largest_prior < k):
        got = f"{list(class_names)}, {positive_class} and {largest_prior}"
        raise ValueError(f"expected {k} class names and classes in 0..{k - 1}, got {got}")
    per_class = _per_class(_expected(confusion, largest_prior), class_names)
    groups = {name: _group(hits, largest_prior) for name, hits in confusion.groups.items()}
    accuracy = _accuracy(confusion.total, largest_prior)
    low, high = wilson(accuracy, rows)
    worst = _worst(groups, min_group_rows)
    calibration_error = _calibration_error(confusion)
    values: dict[str, Any] = {
        "accuracy_covered": _accuracy_covered(confusion.total) if confusion.total.covered else None,
        "f1": per_class[class_names[positive_class]].f1 if k == 2 else _weighted_f1(per_class),
        "calibration_error": calibration_error,
        "worst_group": worst,
    }
    why = {
        "accuracy_covered": "no row has a vote",
        "f1": f"no row is of class {class_names[positive_class]!r}, and none is predicted to be",
        "calibration_error": "no row has a hard label",
        "worst_group": f"no group has {min_group_rows} rows" if groups else "there is no group column",
    }
    return Metrics(
        rows=rows,
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        log_loss=confusion.log_loss / MICRO / rows,
        per_class=per_class,
        groups=groups,
        min_group_rows=min_group_rows,
        reliability=tuple(_bins(confusion)),
        reasons={name: reason for name, reason in why.items() if values[name] is None},
        **values,
    )


def _group(hits: Hits, largest_prior: int) -> GroupFigures:
    accuracy = _accuracy(hits, largest_prior)
    low, high = wilson(accuracy, hits.rows)
    return GroupFigures(rows=hits.rows, accuracy=accuracy, low=low, high=high)


def _tie_credit(hits: Hits) -> float:
    return sum(int(rows) / t for t, rows in enumerate(hits.tie_hits) if t)


def _accuracy(hits: Hits, largest_prior: int) -> float:
    return (hits.correct + int(hits.uncovered[largest_prior]) + _tie_credit(hits)) / hits.rows


def _accuracy_covered(hits: Hits) -> float:
    return (hits.correct_covered + _tie_credit(hits)) / hits.covered


def _expected(confusion: Confusion, largest_prior: int) -> Floats:
    """(k, k) rows by gold, then by what they count as; ties are shared out."""
    matrix: Floats = confusion.matrix.astype(np.float64)
    for (gold, num_tied, tied), rows in confusion.ties.items():
        matrix[gold, tied] += rows / num_tied
    matrix[:, largest_prior] += confusion.total.uncovered
    return matrix


def _per_class(matrix: Floats, class_names: Sequence[str]) -> dict[str, ClassFigures]:
    result = {}
    for y, name in enumerate(class_names):
        right, predicted, support = float(matrix[y, y]), float(matrix[:, y].sum()), float(matrix[y].sum())
        result[name] = ClassFigures(
            precision=right / predicted if predicted else None,
            recall=right / support if support else None,
            f1=2 * right / (predicted + support) if predicted + support else None,
            support=round(support),
        )
    return result


def _weighted_f1(per_class: Mapping[str, ClassFigures]) -> float:
    rows = sum(c.support for c in per_class.values())
    return sum(c.support * (c.f1 or 0.0) for c in per_class.values()) / rows


def _worst(groups: Mapping[str, GroupFigures], min_rows: int) -> WorstGroup | None:
    enough = [(figure.accuracy, name) for name, figure in groups.items() if figure.rows >= min_rows]
    if not enough:
        return None
    _, name = min(enough)
    return WorstGroup(name=name, **asdict(groups[name]))


def _bins(confusion: Confusion) -> list[Bin]:
    return [
        Bin(
            low=i / NUM_BINS,
            high=(i + 1) / NUM_BINS,
            rows=rows,
            confidence=confidence / MICRO / rows if rows else None,
            accuracy=correct / rows if rows else None,
        )
        for i, (rows, correct, confidence) in enumerate(confusion.bins.tolist())
    ]


def _calibration_error(confusion: Confusion) -> float | None:
    rows = int(confusion.bins[:, 0].sum())
    if rows == 0:
        return None
    gap = sum(abs(correct * MICRO - confidence) for _, correct, confidence in confusion.bins.tolist())
    return float(gap / MICRO / rows)
