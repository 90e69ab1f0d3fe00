"""The temperature: how sure the sum of the evidence may be, found without gold by predicting programs from each other.

Programs by one language model share words and mistakes, and naive Bayes takes every repetition for news. How much they
repeat shows where it matters: the posterior from all other programs should predict what a program does. Too sure a
posterior predicts badly, and the temperature that predicts best is taken. On programs from one prompt that is .1 to
.3, on keyword lists about 1; a constant cannot serve both. Pairs of votes do not show it.

What no vote can show is an error that all programs make together; for that the constant `_ALL_WRONG` stays.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.label_model.evidence import Pooled
from operators.patterns import Patterns
from operators.schema import ABSTAIN, Floats

_ALL_WRONG = 0.6
"""What is left of the evidence for errors common to all programs; chosen on 24 real matrices."""

_GRID = np.exp(np.linspace(np.log(0.05), np.log(2.0), 18))
_MOST_PATTERNS = 4096
_MOST_PREDICTED = 128
"""Programs that are predicted, evenly chosen: one number is sought, and a hundred programs tell it as well as more."""

_FLAT = 2e-4
"""Relative loss of likelihood that is no loss: where posteriors are saturated, hardly anything depends on it."""


def choose_temperature(patterns: Patterns, pooled: Pooled, rates: Floats, *, twins: npt.NDArray[np.bool_]) -> float:
    """Find the temperature at which programs best predict each other.

    Args:
        patterns: of the rows.
        pooled: evidence of m programs over k classes.
        rates: (m, k, k) P(vote a | class y) among covered rows.
        twins: (m, m) programs that repeat each other; one is not predicted from its repetition.

    Returns:
        what summed evidence is to be multiplied by, 0.03..1.2; that of programs that say nothing of each other is the
        largest.
    """
    table = pooled.table
    m = len(table)
    votes, counts = patterns.votes[:_MOST_PATTERNS].astype(np.intp), patterns.counts[:_MOST_PATTERNS]
    outputs = _with_abstaining(rates)
    scores = np.tile(np.log(pooled.start), (len(votes), 1))
    for program in range(m):
        scores += table[program][votes[:, program]]
    voted = votes != ABSTAIN
    gain = np.zeros(len(_GRID))
    for program in np.linspace(0, m - 1, min(m, _MOST_PREDICTED)).astype(int):
        left_out = np.flatnonzero(twins[program] | (np.arange(m) == program))
        rest = voted.sum(axis=1) > voted[:, left_out].sum(axis=1)
        if not rest.any():
            continue
        others = scores[rest]
        for out in left_out:
            others = others - table[out][votes[rest, out]]
        others -= others.max(axis=1, keepdims=True)
        likelihood = outputs[program][votes[rest, program]]
        for place, temperature in enumerate(_GRID):
            weight = np.exp(temperature * others)
            gain[place] += counts[rest] @ np.log((weight * likelihood).sum(axis=1) / weight.sum(axis=1))
    # The largest of those that are as good: evidence is taken back for a reason, or not at all.
    best = np.flatnonzero(gain >= gain.max() - _FLAT * abs(float(gain.max())))[-1]
    return float(_ALL_WRONG * _GRID[best])


def _with_abstaining(rates: Floats) -> Floats:
    """(m, k+1, k) P(output | class), the last output is to abstain; sums to 1 over the outputs."""
    votes = rates / np.maximum(1.0, rates.sum(axis=1, keepdims=True) / 0.98)
    table: Floats = np.concatenate([votes, 1.0 - votes.sum(axis=1, keepdims=True)], axis=1)
    return table
