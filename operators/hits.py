"""How many of some rows are right: what accuracy needs, as integer counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from operators.schema import Counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hits:
    """Which of some rows are right; a monoid.

    Attributes:
        rows: how many.
        covered: rows with a vote.
        correct: rows whose hard label is gold.
        correct_covered: those of `correct` with a vote.
        tie_hits: (k+1,) int64, covered rows without a hard label whose gold is among the most likely classes,
            by the number of those classes.
        uncovered: (k,) int64, rows without vote and hard label, by gold.
    """

    rows: int
    covered: int
    correct: int
    correct_covered: int
    tie_hits: Counts
    uncovered: Counts

    @classmethod
    def zero(cls, num_classes: int) -> Hits:
        """Return the hits of no rows."""
        return cls(
            rows=0,
            covered=0,
            correct=0,
            correct_covered=0,
            tie_hits=np.zeros(num_classes + 1, np.int64),
            uncovered=np.zeros(num_classes, np.int64),
        )

    def __add__(self, other: Hits) -> Hits:
        sums: dict[str, Any] = {name: getattr(self, name) + getattr(other, name) for name in self.__slots__}
        return Hits(**sums)

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in values.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Hits:
        """Read what `to_json` returned."""
        values: dict[str, Any] = {n: np.array(v, np.int64) if isinstance(v, list) else v for n, v in content.items()}
        return cls(**values)
