"""Words that every operator shares: abstain, faults and the label matrix.

They live here rather than in the engine because this is where workers write them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

ABSTAIN = -1
"""The vote of a program that does not decide; classes are 0..k-1."""

MAX_CLASSES = 100
"""Votes are int8 and codes below -1 are the sandbox's, so classes end well before 127."""

Votes = npt.NDArray[np.int8]
"""(n, m) label matrix: ABSTAIN or 0..k-1."""

Faults = npt.NDArray[np.uint8]
"""(n, m) fault codes, values of `Fault`; a faulted cell votes ABSTAIN."""

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Fault(IntEnum):
    """Why a cell of the label matrix holds no usable vote."""

    NONE = 0
    EXCEPTION = 1
    TIMEOUT = 2
    MEMORY = 3
    BAD_LABEL = 4
    CRASH = 5
    VIOLATION = 6
    QUARANTINED = 7


def check_votes(votes: npt.NDArray[Any], num_classes: int) -> None:
    """Refuse what is not a label matrix over `num_classes` classes.

    Raises:
        ValueError: `votes` is not two-dimensional, not integer, or holds a value outside -1..k-1.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}")
    if votes.ndim != 2:
        raise ValueError(f"a label matrix has shape (rows, programs), got {votes.shape}")
    if not np.issubdtype(votes.dtype, np.integer):
        raise ValueError(f"votes must be integers, got {votes.dtype}")
    if votes.size and (votes.min() < ABSTAIN or votes.max() >= num_classes):
        raise ValueError(
            f"votes must be {ABSTAIN} (abstain) or 0..{num_classes - 1}, got values from {votes.min()} to {votes.max()}"
        )
