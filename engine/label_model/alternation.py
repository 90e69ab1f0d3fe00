"""Two copies of the table take turns; each turn is a quadratic for each token.

With one copy of R held fixed the other enters each pair linearly. Huber's loss is met by reweighted least
squares, so that a turn needs k by k normal equations for each token and a solver for them. Legend in
anchor.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.label_model.anchor import SPREAD, Tokens
from operators.schema import Floats

_HUBER = 1.0
"""Standardised residual from which on a pair pulls with constant force: outliers are dependent pairs."""

_SWEEPS = 15
_CONVERGED = 1e-3
"""Largest change of a probability at which the copies rest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Goals:
    """What is matched, in units of its spread: counts of pairs as a multiple of the product of two votes' lifts.

    Attributes:
        slope: (N, N) chance over spread, 0 for pairs that are not matched.
        goal: (N, N) count over spread, 0 likewise.
        balance: (k,) pi.
        anchor: (N, k) R0.
        pull: towards the anchor, positive.
    """

    slope: Floats
    goal: Floats
    balance: Floats
    anchor: Floats
    pull: float

    @classmethod
    def of(cls, tokens: Tokens, *, counted: npt.NDArray[np.bool_], pull: float) -> Goals:
        """Set up the goals of one fit.

        Args:
            tokens: N of them.
            counted: (N, N) pairs to match.
            pull: towards the anchor, positive.
        """
        spread = np.sqrt(tokens.pairs + 1.0 + (SPREAD * np.maximum(tokens.pairs, tokens.chance)) ** 2)
        return cls(
            slope=counted * tokens.chance / spread,
            goal=counted * tokens.pairs / spread,
            balance=tokens.balance,
            anchor=tokens.anchor,
            pull=pull,
        )


def alternate(goals: Goals, solve: Callable[[Floats, Floats], Floats]) -> Floats:
    """Let two copies of R take turns from the anchor on, until neither moves.

    Args:
        goals: to be met.
        solve: from normal equations, (N, k, k) and (N, k), to the (N, k) minimum over the simplex.

    Returns:
        (N, k), the mean of the two copies.
    """
    first = second = goals.anchor
    for _ in range(_SWEEPS):
        moved_first = solve(*normal_equations(goals, first, second))
        moved_second = solve(*normal_equations(goals, second, moved_first))
        change = max(np.abs(moved_first - first).max(), np.abs(moved_second - second).max())
        first, second = moved_first, moved_second
        if change < _CONVERGED:
            break
    return (first + second) / 2.0


def normal_equations(goals: Goals, current: Floats, fixed: Floats) -> tuple[Floats, Floats]:
    """Set up the quadratic of each token.

    Args:
        goals: to be met.
        current: (N, k), the copy of R to move, where its residuals are taken.
        fixed: (N, k), the other copy.

    Returns:
        (N, k, k) H and (N, k) g of x' H x / 2 - g' x.
    """
    k = len(goals.balance)
    lifts = fixed / goals.balance
    # In place: at 2000 tokens each of these is 32 MB, and making them anew takes longer than filling them.
    weight = current @ lifts.T
    weight *= goals.slope
    weight -= goals.goal
    np.abs(weight, out=weight)
    np.maximum(weight, _HUBER, out=weight)
    np.divide(_HUBER, weight, out=weight)  # Huber's loss: full weight up to _HUBER, then less as the residual grows
    weight *= goals.slope
    linear: Floats = (weight * goals.goal) @ lifts + goals.pull
    weight *= goals.slope
    rows, columns = np.triu_indices(k)
    upper = weight @ (lifts[:, rows] * lifts[:, columns])
    quadratic = np.empty((len(current), k, k))
    quadratic[:, rows, columns] = upper
    quadratic[:, columns, rows] = upper
    # The pull is a chi-square distance: its gradient at x is pull (x / anchor - 1).
    quadratic[:, np.arange(k), np.arange(k)] += goals.pull / goals.anchor
    return quadratic, linear
