"""The table that moment matching starts from, and how far a table is from the moments.

A vote that a program casts is a token t = (program, class). The anchor is read off the vote shares in one
pass: of the rows with token t, which share of all votes goes to class y. It decides what second moments leave
open: which of the k! relabelings is meant, and everything where programs are few.

Legend: n rows, N tokens that occur, c (N,) their counts, C (N, N) how often two stand in one row, E = c c'/n
what chance alone gives, pi (k,) class balance, R (N, k) with R[t, y] = P(y | token t). Programs that are
independent given the class have  E[C_tu] = E_tu sum_y R_ty R_uy / pi_y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.label_model.gold import GoldCounts
from operators.moments import Moments
from operators.schema import Counts, Floats

FLOOR = 1e-3
"""Smallest probability in R: no vote rules a class out."""

SPREAD = 0.1
"""Relative part of a pair count's spread: real programs are not independent, so no count is trusted to better
than a tenth, however many rows there are."""

_PSEUDO_VOTES = 5.0
"""Rows that every token is given beforehand: half say the class balance, half the class voted for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokens:
    """The moments of the votes that occur, in the order of (program, class).

    Attributes:
        places: (N,) program * k + class.
        programs: (N,).
        classes: (N,).
        counts: (N,) c.
        pairs: (N, N) C.
        chance: (N, N) E.
        balance: (k,) pi, estimated from majority votes.
        anchor: (N, k), R to start from and to be pulled towards.
    """

    places: Counts
    programs: Counts
    classes: Counts
    counts: Floats
    pairs: Floats
    chance: Floats
    balance: Floats
    anchor: Floats

    @classmethod
    def of(cls, moments: Moments, gold: GoldCounts | None = None) -> Tokens:
        """Read the tokens, the class balance and the anchor off the moments, and pull both to gold if there is some."""
        m, k = moments.num_programs, moments.num_classes
        places = np.flatnonzero(moments.first)
        classes = places % k
        counts = moments.first.ravel()[places].astype(np.float64)
        wins = moments.majority_shares()
        balance = (wins + 1.0) / (wins.sum() + k)
        own = 0.5 * balance + 0.5 * np.eye(k)[classes]
        anchor = moments.vote_shares().reshape(m * k, k)[places] + _PSEUDO_VOTES * own
        anchor /= anchor.sum(axis=1, keepdims=True)
        if gold is not None:
            balance, anchor = gold.balance(balance), gold.table(places, anchor)
        pairs = moments.second.reshape(m * k, m * k)[np.ix_(places, places)].astype(np.float64)
        return cls(
            places=places,
            programs=places // k,
            classes=classes,
            counts=counts,
            pairs=pairs,
            chance=np.outer(counts, counts) / max(moments.num_rows, 1),
            balance=balance,
            anchor=on_simplex(anchor, floor=FLOOR),
        )

    @property
    def others(self) -> npt.NDArray[np.bool_]:
        """(N, N), True for tokens of two programs."""
        return np.not_equal.outer(self.programs, self.programs)

    @property
    def meeting(self) -> npt.NDArray[np.bool_]:
        """(N, N), True for tokens of two programs that stand in one row somewhere."""
        return self.others & (self.pairs > 0)

    @property
    def telling(self) -> npt.NDArray[np.bool_]:
        """(N, N), True for pairs of two programs that occur, or would by chance, more than once."""
        return self.others & (np.maximum(self.pairs, self.chance) > 1)

    @property
    def num_pairs(self) -> int:
        """Pairs that tell something, each counted once."""
        return int(self.telling.sum()) // 2

    @property
    def num_parameters(self) -> int:
        """Free entries of R."""
        return len(self.places) * (len(self.balance) - 1)

    def expected(self, table: Floats) -> Floats:
        """(N, N) pair counts that `table`, as R, implies."""
        implied: Floats = self.chance * ((table / self.balance) @ table.T)
        return implied

    def misfit(self, table: Floats, *, counted: npt.NDArray[np.bool_] | None = None) -> float:
        """Mean squared distance of pair counts from what `table` implies, in units of their spread.

        Args:
            table: (N, k) as R.
            counted: (N, N) pairs to look at, None for all.

        Returns:
            0 where no pair tells anything.
        """
        telling = self.telling if counted is None else self.telling & counted
        if not telling.any():
            return 0.0
        expected = self.expected(table)
        size = np.maximum(expected, self.pairs)
        squared = (self.pairs - expected) ** 2 / (1.0 + size + (SPREAD * size) ** 2)
        return float(squared[telling].mean())


def on_simplex(table: Floats, *, floor: float) -> Floats:
    """Lift entries to at least `floor` and scale rows to sum to 1."""
    lifted = np.clip(table, floor, 1.0)
    result: Floats = lifted / lifted.sum(axis=1, keepdims=True)
    return result
