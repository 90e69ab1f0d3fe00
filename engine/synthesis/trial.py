"""What synthesis needs to know of programs that were tried on rows: values alone, so that it never runs one itself.

The stage that has the rows and the sandbox hands a `Trial` in; a test hands in a few arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from operators.schema import ABSTAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one program did on the sample.

    Attributes:
        votes: (n,) int8.
        problems: why it would not be admitted, a sentence each; empty if it would.
        told: the same for a language model, without what may be quoted from a row.
    """

    votes: npt.NDArray[np.int8]
    problems: tuple[str, ...]
    told: tuple[str, ...]


class Trial(Protocol):
    """Whatever runs programs on a sample of the training rows; the same program always gets the same answer."""

    @property
    def texts(self) -> Sequence[str]:
        """(n,) the rows of the sample."""

    def __call__(self, program: str) -> Tried:
        """Try the source of a program that passed the screen."""


_LEAST_ROWS = 20
"""Rows below which one and the same answer may be chance."""


def says_nothing(votes: npt.NDArray[np.int8], class_names: Sequence[str]) -> str | None:
    """Say why votes are of no use to a label model whatever the truth is; None if they may be."""
    rows = len(votes)
    if rows < _LEAST_ROWS or (votes != votes[0]).any():
        return None
    if votes[0] == ABSTAIN:
        return f"it abstains on every one of {rows} rows of the corpus; its conditions are never met there"
    return f"it answers {votes[0]} ({class_names[votes[0]]}) for every one of {rows} rows of the corpus"
