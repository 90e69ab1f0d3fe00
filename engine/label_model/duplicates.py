"""Programs that repeat each other, and how much less their votes then count.

Ten programs from one prompt share keywords, and a sum of log evidence takes every repetition for news. Two
votes for a class are duplicates when they go together far more than the class explains; n copies of a program
then weigh about the square root of n programs. The root is a compromise: dividing by n undoes exact copies
fully, and loses where good programs merely resemble each other (measured on TREC with 100 n-gram programs,
.509 against .453).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.label_model.anchor import Tokens
from engine.label_model.diagnostics import Duplicate
from operators.schema import Floats

SIMILAR = 0.7
"""Similarity above which two votes are duplicates: 0 independent given the class, 1 always together."""

_SIGNIFICANT = 3.0
"""Standard deviations of a pair count by which duplicates must go together more than expected."""

_LEAST_ROOM = 0.05
"""What is left above the expected agreement is at least this: two perfect programs always agree."""


def similarity(tokens: Tokens, table: Floats) -> Floats:
    """Measure how much votes of two programs for one class go together beyond what the class explains.

    Args:
        tokens: N of them.
        table: (N, k) as R.

    Returns:
        (N, N), below `SIMILAR` for unrelated programs, 0 where the excess is not significant.
    """
    expected = tokens.expected(table)
    size = np.sqrt(np.outer(tokens.counts, tokens.counts))
    agreement, explained = tokens.pairs / size, expected / size
    excess = (agreement - explained) / np.maximum(1.0 - explained, _LEAST_ROOM)
    significant = (tokens.pairs - expected) / np.sqrt(tokens.pairs + 1.0) > _SIGNIFICANT
    same_class = tokens.classes[:, None] == tokens.classes[None, :]
    result: Floats = np.where(tokens.others & same_class & significant, excess, 0.0)
    return result


def vote_weights(similar: Floats) -> Floats:
    """Return (N,) what each token's evidence is multiplied by, 0..1."""
    repeats = np.where(similar > SIMILAR, similar, 0.0).sum(axis=1)
    weights: Floats = (1.0 + repeats) ** -0.5
    return weights


def twins(tokens: Tokens, similar: Floats, num_programs: int) -> npt.NDArray[np.bool_]:
    """(m, m), True for programs that repeat each other's votes for some class."""
    found = np.zeros((num_programs, num_programs), bool)
    first, second = np.nonzero(similar > SIMILAR)
    found[tokens.programs[first], tokens.programs[second]] = True
    return found


def name_duplicates(tokens: Tokens, similar: Floats) -> tuple[Duplicate, ...]:
    """List the pairs of duplicates, each once, in the order of their programs."""
    first, second = np.nonzero(np.triu(similar) > SIMILAR)
    return tuple(
        Duplicate(
            program=int(tokens.programs[t]),
            other=int(tokens.programs[u]),
            vote=int(tokens.classes[t]),
            similarity=float(similar[t, u]),
        )
        for t, u in zip(first, second, strict=True)
    )
