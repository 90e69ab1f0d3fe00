"""Moments of a label matrix, counted block by block and added up.

Counts, not means: integers add up to the same total in any order, so a cluster's answer equals one process's
to the last bit. Where a row's share of votes is needed, counts are kept by the number of votes in the row and
divided at the end. Memory is O(m^2 k^2), whatever the number of rows.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from operators.schema import Counts, Floats, check_votes

_BLOCK_BYTES = 32 << 20
_EXACT_FLOAT32 = 1 << 24
"""float32 holds every integer up to here, so a product of blocks below it is a count without rounding."""

_ARRAYS = ("first", "second", "shares", "winners")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """First and second moments of the votes and of the rows' vote shares, as counts; a monoid.

    Attributes:
        num_rows: n.
        num_covered: rows with at least one vote.
        first: (m, k) int64. `first[i, a]` rows have vote a by program i.
        second: (m, k, m, k) int64. `second[i, a, j, b]` rows have vote a by program i and vote b by program
            j.
        shares: (m, m, k, k) int64. `shares[s-1, i, a, y]` votes for y stand in those rows with s votes in
            which program i votes a.
        winners: (k, k) int64. `winners[t-1, y]` rows have t classes with the most votes, y among them.
    """

    num_rows: int
    num_covered: int
    first: Counts
    second: Counts
    shares: Counts
    winners: Counts

    @classmethod
    def zero(cls, num_programs: int, num_classes: int) -> Moments:
        """Return the moments of no rows, what `+` starts from."""
        m, k = num_programs, num_classes
        shapes = ((m, k), (m, k, m, k), (m, m, k, k), (k, k))
        arrays = (np.zeros(shape, np.int64) for shape in shapes)
        return cls(num_rows=0, num_covered=0, **dict(zip(_ARRAYS, arrays, strict=True)))

    @classmethod
    def of(cls, votes: npt.NDArray[Any], num_classes: int, *, weights: Counts | None = None) -> Moments:
        """Count one block of votes.

        Args:
            votes: (n, m) integers, each ABSTAIN or in 0..num_classes-1.
            num_classes: k, at least 2.
            weights: (n,) integers from 0, how often each row stands there; once unless given.

        Raises:
            ValueError: `votes` is not a label matrix over k classes.

        Example:
            >>> Moments.of(np.array([[0, 1], [0, -1]]), 2).first
            array([[2, 0],
                   [0, 1]])
        """
        check_votes(votes, num_classes)
        n, m = votes.shape
        total = cls.zero(m, num_classes)
        programs = max(1, m)
        rows = max(1, min(_BLOCK_BYTES // (4 * programs * num_classes), _EXACT_FLOAT32 // programs))
        covered = 0
        for start in range(0, n if m else 0, rows):
            block = slice(start, start + rows)
            covered += _count_into(total, votes[block], None if weights is None else weights[block])
        num_rows = n if weights is None else int(weights.sum())
        return cls(num_rows=num_rows, num_covered=covered, **{name: getattr(total, name) for name in _ARRAYS})

    def __add__(self, other: Moments) -> Moments:
        if self.first.shape != other.first.shape:
            raise ValueError(
                f"moments of {self.first.shape} programs and classes cannot be added to {other.first.shape}"
            )
        return Moments(
            num_rows=self.num_rows + other.num_rows,
            num_covered=self.num_covered + other.num_covered,
            **{name: getattr(self, name) + getattr(other, name) for name in _ARRAYS},
        )

    @property
    def num_programs(self) -> int:
        """M."""
        return int(self.first.shape[0])

    @property
    def num_classes(self) -> int:
        """K."""
        return int(self.first.shape[1])

    def vote_shares(self) -> Floats:
        """Sum, over the rows in which a program votes a class, the rows' shares of votes.

        Returns:
            (m, k, k), `[i, a, y]` sums the share of y over the rows with vote a by program i.
        """
        sizes = np.arange(1, self.num_programs + 1, dtype=np.float64)
        return cast(Floats, np.einsum("siay,s->iay", self.shares, 1.0 / sizes))

    def majority_shares(self) -> Floats:
        """Count for each class the rows that it wins by majority vote, a tie as 1/ties.

        Returns:
            (k,), sums to `num_covered`.
        """
        ties = np.arange(1, self.num_classes + 1, dtype=np.float64)
        return cast(Floats, (self.winners / ties[:, None]).sum(axis=0))

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, zeros left out; `from_json` reads them."""
        content: dict[str, Any] = {
            "num_programs": self.num_programs,
            "num_classes": self.num_classes,
            "num_rows": self.num_rows,
            "num_covered": self.num_covered,
        }
        for name in _ARRAYS:
            flat = getattr(self, name).ravel()
            places = np.flatnonzero(flat)
            content[name] = {"places": places.tolist(), "counts": flat[places].tolist()}
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Moments:
        """Read what `to_json` returned."""
        empty = cls.zero(content["num_programs"], content["num_classes"])
        for name in _ARRAYS:
            places = np.asarray(content[name]["places"], np.int64)
            getattr(empty, name).reshape(-1)[places] = content[name]["counts"]
        arrays = {name: getattr(empty, name) for name in _ARRAYS}
        return cls(num_rows=content["num_rows"], num_covered=content["num_covered"], **arrays)

    def to_bytes(self) -> bytes:
        """Write compactly; equal moments give equal bytes."""
        head = json.dumps([self.num_programs, self.num_classes, self.num_rows, self.num_covered]).encode()
        # Little-endian whatever the machine, as bytes travel between machines.
        body = b"".join(getattr(self, name).astype("<i8").tobytes() for name in _ARRAYS)
        return head + b"\n" + zlib.compress(body, 1)

    @classmethod
    def from_bytes(cls, data: bytes) -> Moments:
        """Read what `to_bytes` wrote."""
        head, _, body = data.partition(b"\n")
        m, k, num_rows, num_covered = json.loads(head)
        empty = cls.zero(m, k)
        flat = np.frombuffer(zlib.decompress(body), "<i8").astype(np.int64)
        arrays, start = {}, 0
        for name in _ARRAYS:
            shape, size = getattr(empty, name).shape, getattr(empty, name).size
            arrays[name] = flat[start : start + size].reshape(shape)
            start += size
        return cls(num_rows=num_rows, num_covered=num_covered, **arrays)


def _count_into(total: Moments, votes: npt.NDArray[Any], weights: Counts | None) -> int:
    """Add the counts of a block to the arrays of `total`; return its covered rows."""
    n, m = votes.shape
    k = total.num_classes
    hot = (votes[:, :, None] == np.arange(k)).reshape(n, m * k)
    # Most programs by language models vote one class only: half or more of the columns are empty.
    used = np.flatnonzero(hot.any(axis=0))
    # A weight may be as large as the corpus, which float32 does not count; float64 does, up to 2**53 rows.
    hot = hot[:, used].astype(np.float32 if weights is None else np.float64)
    often = hot if weights is None else hot * weights[:, None]
    by_class = np.stack([(votes == y).sum(axis=1) for y in range(k)], axis=1)
    num_votes = by_class.sum(axis=1)

    total.first.reshape(-1)[used] += often.sum(axis=0, dtype=np.float64).astype(np.int64)
    total.second.reshape(m * k, m * k)[np.ix_(used, used)] += (often.T @ hot).astype(np.int64)
    shares = total.shares.reshape(m, m * k, k)
    for size in np.unique(num_votes[num_votes > 0]):
        rows = num_votes == size
        products = often[rows].T @ by_class[rows].astype(hot.dtype)
        shares[size - 1, used] += products.astype(np.int64)
    covered = by_class[num_votes > 0]
    times = np.ones(len(covered), np.int64) if weights is None else weights[num_votes > 0].astype(np.int64)
    wins = covered == covered.max(axis=1, keepdims=True, initial=0)
    np.add.at(total.winners, wins.sum(axis=1) - 1, wins * times[:, None])
    return int(times.sum())
