"""Which rows a step sees together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_AHEAD = 32
"""Batches whose rows are sorted by length among themselves: little padding, and still other neighbours each time."""


def batches_of(
    num_rows: int, *, size: int, lengths: npt.NDArray[Any] | None, rng: np.random.Generator
) -> list[npt.NDArray[np.int64]]:
    """Cut rows into batches in an order that is drawn; every row is in one.

    Args:
        num_rows: n.
        size: rows of a batch; the last may have fewer.
        lengths: (n,) of the rows, None where they do not matter.
        rng: what draws.
    """
    order = rng.permutation(num_rows)
    if lengths is None:
        return [order[start : start + size] for start in range(0, num_rows, size)]
    batches = []
    for start in range(0, num_rows, size * _AHEAD):
        some = order[start : start + size * _AHEAD]
        some = some[np.argsort(lengths[some], kind="stable")]
        batches += [some[at : at + size] for at in range(0, len(some), size)]
    return [batches[i] for i in rng.permutation(len(batches))]
