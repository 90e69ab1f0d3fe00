"""A few gold labels, where the user has them: counts that pull the vote table and the class balance to the truth.

Off unless asked for. What twenty to a hundred labelled rows say is added to what the votes say as if the votes were
so many labelled rows themselves: they are many, and wrong together. On 25 real matrices fifty gold rows gave .7
points on average, at most .8 less than none (benchmarks/README.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.schema import ABSTAIN, Counts, Floats, check_votes

_TABLE_WORTH = 10.0
"""Gold rows that the vote shares of a program's vote are worth, however many rows they were counted on."""

_BALANCE_WORTH = 200.0
"""Likewise of the class balance, which fifty rows measure badly where classes are many."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GoldCounts:
    """Votes on rows with gold.

    Attributes:
        votes: (m, k, k) int64, `[j, a, y]` rows of gold class y have vote a by program j.
        classes: (k,) int64, rows by gold class.
    """

    votes: Counts
    classes: Counts

    @classmethod
    def of(cls, L: npt.NDArray[Any], gold: npt.NDArray[Any], num_classes: int) -> GoldCounts:
        """Count rows.

        Args:
            L: (n, m) integers, each ABSTAIN or in 0..num_classes-1.
            gold: (n,) classes, ABSTAIN where unknown.
            num_classes: k, at least 2.

        Raises:
            ValueError: `L` is no label matrix, or `gold` no column of classes beside it.
        """
        check_votes(L, num_classes)
        if gold.shape != (len(L),):
            raise ValueError(f"gold must have shape ({len(L)},), got {gold.shape}")
        if len(gold) and not (gold.min() >= ABSTAIN and gold.max() < num_classes):
            raise ValueError(f"gold must be classes 0..{num_classes - 1}, or {ABSTAIN} where unknown")
        rows, programs = np.nonzero((L != ABSTAIN) & (gold != ABSTAIN)[:, None])
        votes = np.zeros((L.shape[1], num_classes, num_classes), np.int64)
        np.add.at(votes, (programs, L[rows, programs], gold[rows]), 1)
        return cls(votes=votes, classes=np.bincount(gold[gold != ABSTAIN], minlength=num_classes).astype(np.int64))

    @property
    def num_rows(self) -> int:
        """Rows with gold."""
        return int(self.classes.sum())

    def table(self, places: Counts, anchor: Floats) -> Floats:
        """Pull a vote table to the gold labels.

        Args:
            places: (N,) program * k + class of each token.
            anchor: (N, k) P(class | token).
        """
        seen = self.votes.reshape(-1, len(self.classes))[places]
        result: Floats = (_TABLE_WORTH * anchor + seen) / (_TABLE_WORTH + seen.sum(axis=1, keepdims=True))
        return result

    def balance(self, balance: Floats) -> Floats:
        """Pull a class balance, (k,), to the gold labels."""
        result: Floats = (_BALANCE_WORTH * balance + self.classes) / (_BALANCE_WORTH + self.num_rows)
        return result
