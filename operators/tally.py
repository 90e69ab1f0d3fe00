"""Coverage, overlaps, conflicts, polarity and faults of programs, counted block by block and added up.

Overlap and conflict need the whole row and do not follow from pairwise moments, hence a count of their own.
The definitions and column names are Snorkel's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.schema import ABSTAIN, Counts, Fault, Faults, check_votes

_NONE = np.uint8(Fault.NONE)
"""Of the array's own type: NumPy compares with an enumeration twenty times as slowly."""

_ARRAYS = ("overlaps", "conflicts", "polarity", "faults")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """What people ask about programs, as counts; a monoid.

    Attributes:
        num_rows: n.
        num_covered: rows with at least one vote.
        overlaps: (m,) int64, rows in which the program votes and another votes too.
        conflicts: (m,) int64, rows in which the program votes and another votes otherwise.
        polarity: (m, k) int64, votes by class.
        faults: (m, number of codes) int64, cells by `Fault`; `Fault.NONE` is not counted.
    """

    num_rows: int
    num_covered: int
    overlaps: Counts
    conflicts: Counts
    polarity: Counts
    faults: Counts

    @classmethod
    def zero(cls, num_programs: int, num_classes: int) -> Tally:
        """Return the tally of no rows, what `+` starts from."""
        m = num_programs
        return cls(
            num_rows=0,
            num_covered=0,
            overlaps=np.zeros(m, np.int64),
            conflicts=np.zeros(m, np.int64),
            polarity=np.zeros((m, num_classes), np.int64),
            faults=np.zeros((m, len(Fault)), np.int64),
        )

    @classmethod
    def of(cls, votes: npt.NDArray[Any], faults: Faults | None, num_classes: int) -> Tally:
        """Count one block.

        Args:
            votes: (n, m) integers, each ABSTAIN or in 0..num_classes-1.
            faults: (n, m) values of `Fault`, None where votes come without them.
            num_classes: k, at least 2.

        Raises:
            ValueError: `votes` is no label matrix over k classes, `faults` has another shape or holds an
                unknown code, or a faulted cell holds a vote.

        Example:
            >>> Tally.of(np.array([[0, 1], [0, -1]]), None, 2).conflicts
            array([1, 1])
        """
        check_votes(votes, num_classes)
        # A program's votes side by side: counting along them is ten times as fast as down a column.
        columns = np.ascontiguousarray(votes.T)
        by_class = [columns == y for y in range(num_classes)]
        each = np.stack([chosen.sum(axis=0, dtype=np.int32) for chosen in by_class])
        overlapping = each.sum(axis=0) > 1
        conflicting = (each > 0).sum(axis=0) > 1
        voted = columns != ABSTAIN
        return cls(
            num_rows=votes.shape[0],
            num_covered=int(np.count_nonzero(each.any(axis=0))),
            overlaps=_by_program(voted & overlapping),
            conflicts=_by_program(voted & conflicting),
            polarity=np.stack([_by_program(chosen) for chosen in by_class], axis=1),
            faults=_count_faults(votes, faults),
        )

    def __add__(self, other: Tally) -> Tally:
        if self.polarity.shape != other.polarity.shape:
            raise ValueError(
                f"a tally of {self.polarity.shape} programs and classes cannot be added to {other.polarity.shape}"
            )
        return Tally(
            num_rows=self.num_rows + other.num_rows,
            num_covered=self.num_covered + other.num_covered,
            **{name: getattr(self, name) + getattr(other, name) for name in _ARRAYS},
        )

    @property
    def num_programs(self) -> int:
        """m."""
        return int(self.polarity.shape[0])

    @property
    def votes(self) -> Counts:
        """(m,) votes of each program."""
        total: Counts = self.polarity.sum(axis=1)
        return total

    @property
    def coverage(self) -> float:
        """Share of rows with at least one vote, 0..1; NaN without rows."""
        return self.num_covered / self.num_rows if self.num_rows else float("nan")

    def fault_counts(self, program: int) -> dict[str, int]:
        """Count the cells of a program by fault, in lower case; faults that did not happen are left out."""
        counts = self.faults[program]
        return {code.name.lower(): int(counts[code]) for code in Fault if counts[code]}

    def lf_summary(self) -> list[dict[str, Any]]:
        """Return a row a program, with the columns of Snorkel's `LFAnalysis.lf_summary`.

        Returns:
            `j`, `Polarity` (the classes voted), and `Coverage`, `Overlaps`, `Conflicts` as shares of all
            rows, 0..1, NaN without rows.
        """
        with np.errstate(invalid="ignore"):
            shares = np.stack([self.votes, self.overlaps, self.conflicts], axis=1) / np.float64(self.num_rows)
        return [
            {
                "j": j,
                "Polarity": np.flatnonzero(self.polarity[j]).tolist(),
                "Coverage": float(shares[j, 0]),
                "Overlaps": float(shares[j, 1]),
                "Conflicts": float(shares[j, 2]),
            }
            for j in range(self.num_programs)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; `from_json` reads them."""
        content: dict[str, Any] = {"num_rows": self.num_rows, "num_covered": self.num_covered}
        # The shape is written too: lists of no programs do not tell the number of classes.
        content["num_programs"], content["num_classes"] = self.polarity.shape
        return content | {name: getattr(self, name).tolist() for name in _ARRAYS}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Tally:
        """Read what `to_json` returned."""
        empty = cls.zero(content["num_programs"], content["num_classes"])
        arrays = {name: np.asarray(content[name], np.int64).reshape(getattr(empty, name).shape) for name in _ARRAYS}
        return cls(num_rows=content["num_rows"], num_covered=content["num_covered"], **arrays)

    def to_bytes(self) -> bytes:
        """Write as JSON; equal tallies give equal bytes."""
        return json.dumps(self.to_json()).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Tally:
        """Read what `to_bytes` wrote."""
        return cls.from_json(json.loads(data))


def _count_faults(votes: npt.NDArray[Any], faults: Faults | None) -> Counts:
    counts = np.zeros((votes.shape[1], len(Fault)), np.int64)
    if faults is None:
        return counts
    if faults.shape != votes.shape:
        raise ValueError(f"faults must have the shape of the votes, {votes.shape}, got {faults.shape}")
    if faults.size and faults.max() >= len(Fault):
        raise ValueError(f"fault codes are 0..{len(Fault) - 1}, got {faults.max()}")
    if not faults.any():
        return counts
    if ((faults != _NONE) & (votes != ABSTAIN)).any():
        raise ValueError("a cell with a fault must hold ABSTAIN, and some hold a vote")
    columns = np.ascontiguousarray(faults.T)
    for code in Fault:
        if code is not Fault.NONE:
            counts[:, code] = _by_program(columns == np.uint8(code))
    return counts


def _by_program(cells: npt.NDArray[np.bool_]) -> Counts:
    """Count the cells that are true; (m, n) to (m,)."""
    return np.array([np.count_nonzero(row) for row in cells], np.int64)
