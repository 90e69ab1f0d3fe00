"""Two copies of the table take turns; each turn is a quadratic for each token.

With one copy of R held fixed the other enters each pair linearly. Huber's loss is met by reweighted least
squares, so that a turn needs k by k normal equations for each token and a solver for them. Legend in
anchor.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.label_model.anchor import SPREAD, Tokens
from operators.schema import Floats

_HUBER = 1.0
"""Standardised residual from which on a pair pulls with constant force: outliers are dependent pairs."""

_SWEEPS = 15
_CONVERGED = 1e-3
"""Largest change of a probability at which the copies rest."""


def alternate(
    tokens: Tokens,
    solve: Callable[[Floats, Floats], Floats],
    *,
    counted: npt.NDArray[np.bool_],
    pull: float,
) -> Floats:
    """Let two copies of R take turns from the anchor on, until neither moves.

    Args:
        tokens: N of them.
        solve: from normal equations, (N, k, k) and (N, k), to the (N, k) minimum over the simplex.
        counted: (N, N) pairs to match.
        pull: towards the anchor, positive.

    Returns:
        (N, k), the mean of the two copies.
    """
    first = second = tokens.anchor
    for _ in range(_SWEEPS):
        moved_first = solve(*normal_equations(tokens, first, second, counted=counted, pull=pull))
        moved_second = solve(*normal_equations(tokens, second, moved_first, counted=counted, pull=pull))
        change = max(np.abs(moved_first - first).max(), np.abs(moved_second - second).max())
        first, second = moved_first, moved_second
        if change < _CONVERGED:
            break
    return (first + second) / 2.0


def normal_equations(
    tokens: Tokens, current: Floats, fixed: Floats, *, counted: npt.NDArray[np.bool_], pull: float
) -> tuple[Floats, Floats]:
    """Set up the quadratic of each token.

    Args:
        tokens: N of them.
        current: (N, k), the copy of R to move, where its residuals are taken.
        fixed: (N, k), the other copy.
        counted: (N, N) pairs to match.
        pull: towards the anchor, positive.

    Returns:
        (N, k, k) H and (N, k) g of x' H x / 2 - g' x.
    """
    k = len(tokens.balance)
    spread = np.sqrt(tokens.pairs + 1.0 + (SPREAD * np.maximum(tokens.pairs, tokens.chance)) ** 2)
    slope, goal = tokens.chance / spread, tokens.pairs / spread
    lifts = fixed / tokens.balance
    residual = np.abs(goal - slope * (current @ lifts.T))
    weight = counted * np.minimum(1.0, _HUBER / np.maximum(residual, 1e-9))
    rows, columns = np.triu_indices(k)
    upper = (weight * slope**2) @ (lifts[:, rows] * lifts[:, columns])
    quadratic = np.empty((len(current), k, k))
    quadratic[:, rows, columns] = upper
    quadratic[:, columns, rows] = upper
    # The pull is a chi-square distance: its gradient at x is pull (x / anchor - 1).
    quadratic[:, np.arange(k), np.arange(k)] += pull / tokens.anchor
    linear: Floats = (weight * slope * goal) @ lifts + pull
    return quadratic, linear
