"""Predictions against gold, counted block by block: all that the figures of an evaluation need.

Confidences and logarithms are rounded to millionths before they are added, so that sums are integers and do
not depend on how the rows are cut.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.errors import InputError
from operators.hits import Hits
from operators.posterior import TIE
from operators.schema import ABSTAIN, Counts, check_votes

NUM_BINS = 10
"""Bins of confidence, equal in width over 0..1; a confidence on a border is in the upper bin."""

MICRO = 1_000_000

MAX_GROUPS = 1000
"""More groups than this are no groups but ids, and would reach the driver one by one."""

_SMALLEST = 1e-15
"""Probabilities below are taken as this, or one certain mistake would make the log loss infinite."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confusion:
    """Predictions against gold, as integer counts; a monoid.

    Attributes:
        matrix: (k, k) int64, rows with a hard label by gold, then by label.
        ties: {(gold, t, class): rows}, covered rows without a hard label for which `class` is one of the t most
            likely classes; a row stands in t entries.
        total: hits over all rows.
        groups: hits by group; a row without a group is in none.
        bins: (NUM_BINS, 3) int64, rows with a hard label by confidence: rows, correct, sum of confidence in
            millionths.
        log_loss: sum over all rows of -ln P(gold), in millionths.
    """

    matrix: Counts
    ties: Mapping[tuple[int, int, int], int]
    total: Hits
    groups: Mapping[str, Hits]
    bins: Counts
    log_loss: int

    @classmethod
    def zero(cls, num_classes: int) -> Confusion:
        """Return the counts of no rows, what `+` starts from."""
        return cls(
            matrix=np.zeros((num_classes, num_classes), np.int64),
            ties={},
            total=Hits.zero(num_classes),
            groups={},
            bins=np.zeros((NUM_BINS, 3), np.int64),
            log_loss=0,
        )

    @classmethod
    def of(
        cls,
        gold: npt.NDArray[Any],
        predicted: npt.NDArray[Any],
        soft: npt.NDArray[Any],
        covered: npt.NDArray[np.bool_],
        groups: Sequence[str | None] | None = None,
    ) -> Confusion:
        """Count one block.

        Args:
            gold: (n,) classes 0..k-1; rows without gold are left out beforehand.
            predicted: (n,) hard labels, ABSTAIN where there is none.
            soft: (n, k) probabilities, k at least 2.
            covered: (n,) whether a program votes on the row. A row that has neither vote nor hard label is
                counted apart, one that has a vote alone is a tie.
            groups: (n,) group of each row, None where it has none.

        Raises:
            ValueError: shapes differ, a class is out of range, or a probability is not in 0..1.
            InputError: there are more than MAX_GROUPS groups.

        Example:
            >>> gold, soft = np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]])
            >>> Confusion.of(gold, np.array([0, 0]), soft, np.array([True, True])).matrix
            array([[1, 0],
                   [1, 0]])
        """
        _check(gold, predicted, soft, covered, groups)
        n, k = soft.shape
        hard = predicted != ABSTAIN
        tied = covered & ~hard
        likely = soft >= soft.max(axis=1, keepdims=True, initial=0.0) - TIE
        num_tied = np.where(tied, likely.sum(axis=1), 0)
        kinds = _Rows(
            gold=gold,
            covered=covered,
            correct=predicted == gold,
            num_tied=np.where(likely[np.arange(n), gold], num_tied, 0),
            uncovered=~covered & ~hard,
        )
        matrix = np.zeros((k, k), np.int64)
        np.add.at(matrix, (gold[hard], predicted[hard]), 1)
        return cls(
            matrix=matrix,
            ties=_count_ties(gold[tied], num_tied[tied], likely[tied]),
            total=kinds.hits(np.arange(n), k),
            groups={name: kinds.hits(rows, k) for name, rows in _rows_by_group(groups).items()},
            bins=_count_bins(soft[hard].max(axis=1, initial=0.0), kinds.correct[hard]),
            log_loss=int(_micro(-np.log(np.maximum(soft[np.arange(n), gold], _SMALLEST))).sum()),
        )

    def __add__(self, other: Confusion) -> Confusion:
        if self.num_classes != other.num_classes:
            raise ValueError(f"counts over {self.num_classes} classes cannot be added to {other.num_classes}")
        empty = Hits.zero(self.num_classes)
        return Confusion(
            matrix=self.matrix + other.matrix,
            ties={k: self.ties.get(k, 0) + other.ties.get(k, 0) for k in sorted({*self.ties, *other.ties})},
            total=self.total + other.total,
            groups={
                name: self.groups.get(name, empty) + other.groups.get(name, empty)
                for name in _few({*self.groups, *other.groups})
            },
            bins=self.bins + other.bins,
            log_loss=self.log_loss + other.log_loss,
        )

    @property
    def num_classes(self) -> int:
        """K."""
        return int(self.matrix.shape[0])

    def to_bytes(self) -> bytes:
        """Write as JSON; equal counts give equal bytes."""
        content = {
            "matrix": self.matrix.tolist(),
            "ties": [[*key, rows] for key, rows in self.ties.items()],
            "total": self.total.to_json(),
            "groups": {name: hits.to_json() for name, hits in self.groups.items()},
            "bins": self.bins.tolist(),
            "log_loss": self.log_loss,
        }
        return json.dumps(content).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Confusion:
        """Read what `to_bytes` wrote."""
        content = json.loads(data)
        return cls(
            matrix=np.array(content["matrix"], np.int64),
            ties={(y, t, c): rows for y, t, c, rows in content["ties"]},
            total=Hits.from_json(content["total"]),
            groups={name: Hits.from_json(hits) for name, hits in content["groups"].items()},
            bins=np.array(content["bins"], np.int64),
            log_loss=content["log_loss"],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """What `Hits` counts, row by row; `num_tied` is 0 where the row is no tie or gold is not among the tied."""

    gold: npt.NDArray[Any]
    covered: npt.NDArray[np.bool_]
    correct: npt.NDArray[np.bool_]
    num_tied: npt.NDArray[Any]
    uncovered: npt.NDArray[np.bool_]

    def hits(self, chosen: npt.NDArray[np.intp], num_classes: int) -> Hits:
        covered, correct = self.covered[chosen], self.correct[chosen]
        tie_hits = np.bincount(self.num_tied[chosen], minlength=num_classes + 1)
        tie_hits[0] = 0
        return Hits(
            rows=len(chosen),
            covered=int(covered.sum()),
            correct=int(correct.sum()),
            correct_covered=int((correct & covered).sum()),
            tie_hits=tie_hits.astype(np.int64),
            uncovered=np.bincount(self.gold[chosen[self.uncovered[chosen]]], minlength=num_classes).astype(np.int64),
        )


def _rows_by_group(groups: Sequence[str | None] | None) -> dict[str, npt.NDArray[np.intp]]:
    # One pass over the rows: a pass for each group takes seconds before a column of ids is refused.
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(() if groups is None else groups):
        if name is not None:
            rows.setdefault(name, []).append(row)
    return {name: np.array(rows[name], dtype=np.intp) for name in _few(rows.keys())}


def _count_ties(
    gold: npt.NDArray[Any], num_tied: npt.NDArray[Any], likely: npt.NDArray[np.bool_]
) -> dict[tuple[int, int, int], int]:
    rows, classes = np.nonzero(likely)
    entries = np.stack([gold[rows], num_tied[rows], classes], axis=1)
    keys, counts = np.unique(entries, axis=0, return_counts=True)
    return {(int(y), int(t), int(c)): int(count) for (y, t, c), count in zip(keys, counts, strict=True)}


def _count_bins(confidence: npt.NDArray[Any], correct: npt.NDArray[np.bool_]) -> Counts:
    micro = _micro(confidence)
    places = np.minimum(micro * NUM_BINS // MICRO, NUM_BINS - 1)
    bins = np.zeros((NUM_BINS, 3), np.int64)
    np.add.at(bins, places, np.stack([np.ones_like(micro), correct.astype(np.int64), micro], axis=1))
    return bins


def _micro(values: npt.NDArray[Any]) -> Counts:
    return np.rint(values.astype(np.float64) * MICRO).astype(np.int64)


def _few(names: Set[str]) -> list[str]:
    """Return the names of groups in order, if they are few enough."""
    if len(names) > MAX_GROUPS:
        raise InputError(
            f"the group column holds more than {MAX_GROUPS} values, such as {min(names)!r}; expected a "
            "column of few groups. Name another in `columns.group`, or leave it out"
        )
    return sorted(names)


def _check(
    gold: npt.NDArray[Any],
    predicted: npt.NDArray[Any],
    soft: npt.NDArray[Any],
    covered: npt.NDArray[np.bool_],
    groups: Sequence[str | None] | None,
) -> None:
    if soft.ndim != 2:
        raise ValueError(f"soft labels have shape (rows, classes), got {soft.shape}")
    n, k = soft.shape
    shapes = {gold.shape, predicted.shape, covered.shape, (n if groups is None else len(groups),)}
    if shapes != {(n,)}:
        raise ValueError(f"gold, predicted, covered and groups must have {n} rows as soft has, got {sorted(shapes)}")
    check_votes(predicted[:, None], k)
    check_votes(gold[:, None], k)
    if (gold == ABSTAIN).any():
        raise ValueError(f"gold must be 0..{k - 1}, got {ABSTAIN}; leave rows without gold out")
    if not ((soft >= 0) & (soft <= 1 + 1e-6)).all():
        raise ValueError("soft labels must be probabilities in 0..1")
