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

    def __init__(self, num_weights: int, inverse_curvature: Floats | None = None) -> None:
        """Start with no step taken.

        Args:
            num_weights: of a step.
            inverse_curvature: what the first guess of a direction multiplies the gradient by, in the shape of the
                weights, up to a factor; 1 everywhere unless told. Where the curvatures of the weights differ by
                thousands, as penalties may, a guess of 1 takes hundreds of steps to the minimum.
        """
        fitting = _MEMORY_BYTES // (2 * 8 * num_weights)
        self._scales: Floats | float = 1.0 if inverse_curvature is None else inverse_curvature
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
        found *= self._scales
        if self._pairs:
            _, change, rho = self._pairs[-1]
            found /= rho * _dot(change, self._scales * change)
        for (step, change, rho), scale in zip(self._pairs, reversed(scales), strict=True):
            found += (scale - rho * _dot(change, found)) * step
        return np.append(-found.ravel(), -_dot(found, gradient))


def _dot(a: Floats, b: Floats) -> float:
    # Not BLAS: its sums depend on the number of threads.
    return float((a * b).sum())
