"""Distinct rows of a label matrix and how often each occurs: what methods need that look at whole rows.

Rows of programs repeat a lot: a million rows of ten programs hold some thousands of patterns. Where they do not, the
count gives up at a fixed size rather than grow with the corpus, and says so.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.schema import Counts, Votes, check_votes

MAX_CELLS = 20_000_000
"""Votes kept at most, 20 MB: 100,000 patterns of 200 programs, or 2,000,000 of 10."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patterns:
    """Distinct rows with their counts, in the order of their votes; a monoid.

    Attributes:
        num_rows: n.
        votes: (u, m) int8, no row twice; empty where there were too many.
        counts: (u,) int64.
        complete: False where there were more than `MAX_CELLS` allows; then nothing is kept.
    """

    num_rows: int
    votes: Votes
    counts: Counts
    complete: bool = True

    @classmethod
    def zero(cls, num_programs: int) -> Patterns:
        """Return the patterns of no rows, what `+` starts from."""
        return cls(num_rows=0, votes=np.zeros((0, num_programs), np.int8), counts=np.zeros(0, np.int64))

    @classmethod
    def of(cls, votes: npt.NDArray[Any], num_classes: int) -> Patterns:
        """Count the rows of one block.

        Args:
            votes: (n, m) integers, each ABSTAIN or in 0..num_classes-1.
            num_classes: k, at least 2.

        Raises:
            ValueError: `votes` is not a label matrix over k classes.

        Example:
            >>> found = Patterns.of(np.array([[0, 1], [0, -1], [0, 1]]), 2)
            >>> found.votes.tolist(), found.counts.tolist()
            ([[0, -1], [0, 1]], [1, 2])
        """
        check_votes(votes, num_classes)
        return _merged(votes.astype(np.int8), np.ones(len(votes), np.int64), num_rows=len(votes))

    def __add__(self, other: Patterns) -> Patterns:
        if self.num_programs != other.num_programs:
            raise ValueError(f"patterns of {self.num_programs} programs cannot be added to {other.num_programs}")
        num_rows = self.num_rows + other.num_rows
        if not (self.complete and other.complete):
            return _too_many(self.num_programs, num_rows)
        return _merged(
            np.concatenate([self.votes, other.votes]),
            np.concatenate([self.counts, other.counts]),
            num_rows=num_rows,
        )

    @property
    def num_programs(self) -> int:
        """m."""
        return int(self.votes.shape[1])

    def to_bytes(self) -> bytes:
        """Write compactly; equal patterns give equal bytes."""
        head = json.dumps([self.num_rows, self.num_programs, len(self.counts), self.complete]).encode()
        body = self.votes.tobytes() + self.counts.astype("<i8").tobytes()
        return head + b"\n" + zlib.compress(body, 1)

    @classmethod
    def from_bytes(cls, data: bytes) -> Patterns:
        """Read what `to_bytes` wrote."""
        head, _, body = data.partition(b"\n")
        num_rows, m, u, complete = json.loads(head)
        raw = zlib.decompress(body)
        return cls(
            num_rows=num_rows,
            votes=np.frombuffer(raw, np.int8, u * m).reshape(u, m).copy(),
            counts=np.frombuffer(raw, "<i8", u, u * m).astype(np.int64),
            complete=complete,
        )


def _merged(votes: Votes, counts: Counts, *, num_rows: int) -> Patterns:
    m = votes.shape[1]
    if m == 0:
        total = np.array([num_rows], np.int64)[: min(1, num_rows)]
        return Patterns(num_rows=num_rows, votes=np.zeros((len(total), 0), np.int8), counts=total)
    # As one value a row: sorting rows of bytes is ten times faster than sorting by columns. Shifted to start at 0,
    # so that the order of the bytes is the order of the votes.
    rows = np.ascontiguousarray((votes + 1).astype(np.uint8)).view(np.dtype((np.void, m))).ravel()
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    if len(first) * m > MAX_CELLS:
        return _too_many(m, num_rows)
    # Counted as integers: weights of bincount are floats, exact up to 2**53 rows.
    total = np.bincount(inverse, weights=counts, minlength=len(first)).astype(np.int64)
    return Patterns(num_rows=num_rows, votes=votes[first], counts=total)


def _too_many(num_programs: int, num_rows: int) -> Patterns:
    empty = Patterns.zero(num_programs)
    return Patterns(num_rows=num_rows, votes=empty.votes, counts=empty.counts, complete=False)
