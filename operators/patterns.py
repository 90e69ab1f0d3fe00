"""Distinct rows of a label matrix and how often each occurs: what methods need that look at whole rows.

Rows of programs repeat a lot: a million rows of ten programs hold some thousands of patterns. Where there are more
than a fixed number, those of the smallest hash are kept, with their full counts. That is a sample that does not
depend on how the rows are cut: whatever is among the smallest of all is among the smallest of its part.

Reference:
    K. Beyer and others, On synopses for distinct-value estimation under multiset operations, 2007: the k minimum
    values, which merge exactly.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.schema import ABSTAIN, Counts, Votes, check_votes

MAX_PATTERNS = 1 << 14
"""Kept at most: 3 MB for 200 programs. Of 26 real matrices the largest has a quarter of that."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patterns:
    """Distinct rows with their counts, in the order of their hashes; a monoid.

    Attributes:
        num_rows: n.
        votes: (u, m) int8, no row twice.
        counts: (u,) int64.
        complete: whether these are all patterns; else they are a sample of `MAX_PATTERNS`.
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
            >>> sorted(zip(found.votes.tolist(), found.counts.tolist()))
            [([0, -1], 1), ([0, 1], 2)]
        """
        check_votes(votes, num_classes)
        return _merged(votes.astype(np.int8), np.ones(len(votes), np.int64), num_rows=len(votes), complete=True)

    def __add__(self, other: Patterns) -> Patterns:
        if self.num_programs != other.num_programs:
            raise ValueError(f"patterns of {self.num_programs} programs cannot be added to {other.num_programs}")
        return _merged(
            np.concatenate([self.votes, other.votes]),
            np.concatenate([self.counts, other.counts]),
            num_rows=self.num_rows + other.num_rows,
            complete=self.complete and other.complete,
        )

    @property
    def num_programs(self) -> int:
        """m."""
        return int(self.votes.shape[1])

    def check_goes_with(self, num_rows: int, num_programs: int) -> None:
        """Refuse to stand beside other counts of other rows.

        Raises:
            ValueError: the numbers of rows or programs differ.
        """
        if (self.num_rows, self.num_programs) != (num_rows, num_programs):
            raise ValueError(
                f"patterns of {self.num_rows} rows and {self.num_programs} programs stand beside moments of "
                f"{num_rows} and {num_programs}"
            )

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


def _merged(votes: Votes, counts: Counts, *, num_rows: int, complete: bool) -> Patterns:
    m = votes.shape[1]
    if m == 0 or not len(votes):
        total = np.array([num_rows], np.int64)[: min(1, num_rows)]
        return Patterns(num_rows=num_rows, votes=np.zeros((len(total), m), np.int8), counts=total)
    _, first, inverse = np.unique(_as_values(votes), return_index=True, return_inverse=True)
    # Weights of bincount are floats, exact up to 2**53 rows.
    total = np.bincount(inverse, weights=counts, minlength=len(first)).astype(np.int64)
    distinct = votes[first]
    # Stable, so that two rows of one hash keep the order of their bytes, which is the same however they came.
    order = np.argsort(_hashes(distinct), kind="stable")[:MAX_PATTERNS]
    return Patterns(
        num_rows=num_rows,
        votes=distinct[order],
        counts=total[order],
        complete=complete and len(first) <= MAX_PATTERNS,
    )


def _as_values(votes: Votes) -> npt.NDArray[Any]:
    """(n,) one value a row, in the order of the rows' bytes, which NumPy sorts faster than columns.

    Integers where a row fits into one, ten times faster still than bytes.
    """
    m = votes.shape[1]
    base = int(votes.max()) + 2
    if base**m > np.iinfo(np.int64).max:
        return np.ascontiguousarray(votes).view(np.dtype((np.void, m))).ravel()
    values = np.zeros(len(votes), np.int64)
    for column in np.ascontiguousarray(votes.T):
        values *= base
        # As unsigned bytes go, ABSTAIN comes last.
        values += np.where(column == ABSTAIN, np.int8(base - 1), column)
    return values


def _hashes(votes: Votes) -> npt.NDArray[np.uint64]:
    """(u,) a hash of each row, the same on every machine.

    Reference:
        G. Steele, D. Lea and C. Flood, Fast splittable pseudorandom number generators, 2014: the mixing of SplitMix64.
    """
    state = np.zeros(len(votes), np.uint64)
    for column in votes.T:
        state = state * np.uint64(0x9E3779B97F4A7C15) + (column.astype(np.int64) + 2).astype(np.uint64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
        state ^= state >> np.uint64(31)
    return state
