"""Quadratic programs over the simplex by an active set, for many tokens at once, with a certificate.

A turn of the alternation asks for thousands of problems of k unknowns. Most have their minimum inside the simplex,
where linear algebra finds it; the others settle which entries stand at the floor in a few steps. What is returned
as solved meets the optimality conditions to rounding, so it is the optimum that a general solver would approach.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from operators.schema import Floats

_TOLERANCE = 1e-9


def solve_on_simplex(quadratic: Floats, linear: Floats, *, floor: float) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Minimise x' H x / 2 - g' x subject to x >= floor and sum x = 1.

    Args:
        quadratic: (N, k, k) H, positive definite, of about unit size.
        linear: (N, k) g.
        floor: smallest entry, below 1 / k.

    Returns:
        (N, k) minima, and (N,) which of them are certified; the others hold no answer.

    Reference:
        J. Nocedal and S. Wright, Numerical Optimization, 2006, section 16.5: active-set methods, of which this drops
        all violated entries at once and takes back one at a time.
    """
    num_tokens, k = linear.shape
    table = np.full((num_tokens, k), 1.0 / k)
    solved = np.zeros(num_tokens, bool)
    held = np.zeros((num_tokens, k), bool)
    for _ in range(3 * k):
        todo = np.flatnonzero(~solved)
        if not len(todo):
            break
        x, slope = _minimum(quadratic[todo], linear[todo], held[todo], floor)
        low = ~held[todo] & (x < floor - _TOLERANCE)
        # At the optimum no entry at the floor would gain by rising.
        gain = np.where(held[todo], -slope, 0.0)
        best = gain.argmax(axis=1)
        rising = gain[np.arange(len(todo)), best] > _TOLERANCE
        inside = ~low.any(axis=1)
        done = inside & ~rising
        table[todo[done]] = x[done]
        solved[todo[done]] = True
        held[todo] |= low
        freed = inside & rising
        held[todo[freed], best[freed]] = False
    return table, solved


def _minimum(quadratic: Floats, linear: Floats, held: npt.NDArray[np.bool_], floor: float) -> tuple[Floats, Floats]:
    """Return the minima with some entries held at the floor, and the slope of every entry above that of the free."""
    k = linear.shape[1]
    free = ~held
    at_floor = np.where(held, floor, 0.0)
    both = free[:, :, None] & free[:, None, :]
    matrix = np.where(both, quadratic, 0.0)
    matrix[:, np.arange(k), np.arange(k)] += held
    rest = linear - (quadratic @ at_floor[:, :, None])[:, :, 0]
    sides = np.stack([np.where(free, rest, at_floor), free.astype(np.float64)], axis=2)
    found = np.linalg.solve(matrix, sides)
    base, step = found[:, :, 0], found[:, :, 1]
    common = (1.0 - base.sum(axis=1)) / np.maximum(step.sum(axis=1), 1e-300)
    x = base + common[:, None] * step
    slope = (quadratic @ x[:, :, None])[:, :, 0] - linear - common[:, None]
    return x, slope
