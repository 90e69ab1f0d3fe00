"""The two-loop recursion of limited-memory BFGS.

Reference: Nocedal and Wright, Numerical Optimization (2006), algorithm 7.4 and equation 7.20.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from operators.schema import Floats

_MEMORY = 8
_MEMORY_BYTES = 1 << 30
"""Of all steps that are remembered; with a hundred classes eight would take gigabytes."""


class History:
    """The last steps and the changes of the gradient over them."""

    def __init__(self, num_weights: int) -> None:
        fitting = _MEMORY_BYTES // (2 * 8 * num_weights)
        self._pairs: deque[tuple[Floats, Floats, float]] = deque(maxlen=max(2, min(_MEMORY, fitting)))

    def add(self, step: Floats, change: Floats) -> None:
        """Remember a step, unless the curvature along it is lost in rounding."""
        curvature = _dot(step, change)
        if curvature > 1e-12 * _dot(change, change):
            self._pairs.append((step, change, 1.0 / curvature))

    def direction(self, gradient: Floats) -> Floats:
        """Return where to go, flat, with the slope of the objective along it appended."""
        found = gradient.copy()
        scales = []
        for step, change, rho in reversed(self._pairs):
            scale = rho * _dot(step, found)
            found -= scale * change
            scales.append(scale)
        if self._pairs:
            _, change, rho = self._pairs[-1]
            found /= rho * _dot(change, change)
        for (step, change, rho), scale in zip(self._pairs, reversed(scales), strict=True):
            found += (scale - rho * _dot(change, found)) * step
        return np.append(-found.ravel(), -_dot(found, gradient))


def _dot(a: Floats, b: Floats) -> float:
    # Not BLAS: its sums depend on the number of threads.
    return float((a * b).sum())
