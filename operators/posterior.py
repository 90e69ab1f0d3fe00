"""From votes to soft labels, block by block: all that a worker needs of a label model.

The posterior of every label model here is log-linear in the votes, so an evidence table, a prior and a
temperature say it all. Programs are added one after the other, so that a row's soft label has the same bits
whichever rows stand beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.schema import ABSTAIN, Floats, Votes, check_votes

TIE = 1e-9
"""Two classes closer than this are a tie: rounding alone parts sums that are equal on paper by about
1e-15."""

_BLOCK_ROWS = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """A label model as its workers see it.

    Attributes:
        table: (m, k+1, k), `table[j, a, y]` is what vote a of program j adds to the logarithm of class y; the
            last a is abstain.
        prior: (k,) positive, sums to 1; the soft label of a row without votes.
        temperature: what summed evidence and log prior are multiplied by, positive.
    """

    table: Floats
    prior: Floats
    temperature: float = 1.0

    def __post_init__(self) -> None:
        k = len(self.prior)
        if self.table.ndim != 3 or self.table.shape[1:] != (k + 1, k):
            raise ValueError(f"the evidence table must have shape (m, {k + 1}, {k}), got {self.table.shape}")
        if not (np.isfinite(self.table).all() and np.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError("evidence must be finite and the temperature positive")
        if not (self.prior > 0).all() or abs(float(self.prior.sum()) - 1) > 1e-6:
            raise ValueError(f"the prior must be positive and sum to 1, got {self.prior.tolist()}")

    @property
    def num_programs(self) -> int:
        """m."""
        return int(self.table.shape[0])

    @property
    def num_classes(self) -> int:
        """k."""
        return len(self.prior)

    @property
    def given_vote(self) -> Floats:
        """(m, k, k) P(class y given vote a of a program alone), silence and temperature left out of account."""
        scores = self.table[:, : self.num_classes] + np.log(self.prior)
        given: Floats = np.exp(scores - scores.max(axis=2, keepdims=True))
        given /= given.sum(axis=2, keepdims=True)
        return given


def soft_labels(votes: npt.NDArray[Any], evidence: Evidence) -> Floats:
    """Return the posterior of each row.

    Args:
        votes: (n, m) integers, each ABSTAIN or in 0..k-1.
        evidence: of the same m programs.

    Returns:
        (n, k), rows sum to 1; a row without votes gets the prior.

    Raises:
        ValueError: `votes` is no label matrix over the k classes and m programs of `evidence`.

    Example:
        >>> table = np.zeros((1, 3, 2))
        >>> table[0, 0] = [np.log(3.0), 0.0]
        >>> soft_labels(np.array([[0], [-1]]), Evidence(table=table, prior=np.array([0.5, 0.5])))
        array([[0.75, 0.25],
               [0.5 , 0.5 ]])
    """
    check_votes(votes, evidence.num_classes)
    if votes.shape[1] != evidence.num_programs:
        raise ValueError(
            f"the label model was fitted on {evidence.num_programs} programs, the votes are of {votes.shape[1]}"
        )
    soft = np.empty((votes.shape[0], evidence.num_classes))
    for start in range(0, votes.shape[0], _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        soft[rows] = _posterior(votes[rows], evidence)
    return soft


def hard_labels(soft: Floats, votes: npt.NDArray[Any]) -> tuple[Votes, npt.NDArray[np.str_]]:
    """Return the most likely class of each row, and why there is none where there is none.

    Args:
        soft: (n, k), rows sum to 1.
        votes: (n, m), the label matrix that `soft` came from.

    Returns:
        (n,) int8 classes, ABSTAIN where the two most likely classes tie or no program votes; and (n,)
        reasons, "labeled", "tie" or "uncovered".
    """
    if len(soft) != len(votes):
        raise ValueError(f"{len(soft)} soft labels stand beside {len(votes)} rows of votes")
    top = np.partition(soft, -2, axis=1)[:, -2:]
    tie = top[:, 1] - top[:, 0] <= TIE
    covered = (votes != ABSTAIN).any(axis=1)
    labels = np.where(tie | ~covered, ABSTAIN, soft.argmax(axis=1)).astype(np.int8)
    reasons = np.where(covered, np.where(tie, "tie", "labeled"), "uncovered")
    return labels, reasons


def _posterior(votes: npt.NDArray[Any], evidence: Evidence) -> Floats:
    scores = np.tile(np.log(evidence.prior), (len(votes), 1))
    # Votes index the table as they are: ABSTAIN is -1, the last row.
    places = votes.astype(np.intp)
    for program in range(evidence.num_programs):
        scores += evidence.table[program][places[:, program]]
    scores *= evidence.temperature
    scores -= scores.max(axis=1, keepdims=True)
    soft: Floats = np.exp(scores)
    soft /= soft.sum(axis=1, keepdims=True)
    soft[(votes == ABSTAIN).all(axis=1)] = evidence.prior
    return soft
