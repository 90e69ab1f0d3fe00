"""From a matched table to what each vote adds to the log posterior.

A vote adds the lift log P(y | vote) - log base_y, which is naive Bayes without the normalisation that a program's
coverage would bring in. The base is what is known before the vote. For a program that votes for one class alone that
is the class balance: that it speaks at all is the news. For one that votes for every class it is what its votes say
on average, since that it speaks says nothing of the class.

The result is pooled with a plain vote, as two experts are whose errors are alike: the logarithms are averaged. Matched
evidence seldom reorders rows that majority vote decides, and where it does on one-class programs it is wrong as often
as right; the pool gives way there.

Reference:
    C. Genest and J. V. Zidek, Combining probability distributions, 1986: the logarithmic opinion pool.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.label_model.anchor import FLOOR, Tokens
from engine.label_model.prior import mean_openness, openness
from operators.moments import Moments
from operators.posterior import Evidence
from operators.schema import Floats

_ABSTAIN_WEIGHT = 0.2
"""Saying nothing is evidence too, of a kind that real programs give little of."""

_SHARE, _SHARE_OPEN = 0.3, 0.6
"""Weight of the matched evidence in the pool, for a program of one class and for one of all classes."""

_PSEUDO_VOTES = 5.0
"""Votes of the class balance that every program's base is given beforehand."""

_LEAST_ABSTAINING = 0.02

_MARGIN = 1e-3
"""Log odds by which a vote alone wins at least."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pooled:
    """Evidence before it is tempered.

    Attributes:
        table: (m, k+1, k), what each vote adds; the last is to abstain.
        prior: (k,), what a row without votes gets.
        start: (k,), what the sum over a row with votes starts from: the pool takes the prior to the power of its share.
    """

    table: Floats
    prior: Floats
    start: Floats

    def tempered(self, temperature: float) -> Evidence:
        """Return it as evidence, which has one prior: the other start is spread over the programs' entries."""
        shift = np.log(self.start) - np.log(self.prior)
        return Evidence(table=self.table + shift / len(self.table), prior=self.prior, temperature=temperature)


def pool(moments: Moments, tokens: Tokens, table: Floats, *, weights: Floats, prior: Floats) -> Pooled:
    """Make the evidence of each vote.

    Args:
        moments: that `tokens` were read from.
        tokens: N of them.
        table: (N, k) R.
        weights: (N,) of each token's evidence, 0..1.
        prior: (k,).
    """
    m, k = moments.num_programs, moments.num_classes
    opened = openness(moments)[:, None]
    base = opened * np.log(_own_base(tokens, table, m)) + (1.0 - opened) * np.log(tokens.balance)
    lift = np.zeros((m * k, k))
    # A vote that did not occur says nothing.
    lift[tokens.places] = weights[:, None] * (np.log(np.maximum(table, FLOOR)) - base[tokens.programs])
    silence = np.log(np.clip(1.0 - vote_rates_by_class(moments, tokens, table).sum(axis=1), _LEAST_ABSTAINING, 1.0))
    matched = np.concatenate([lift.reshape(m, k, k), _ABSTAIN_WEIGHT * silence[:, None, :]], axis=1)

    plain = np.zeros((m, k + 1, k))
    # Programs that repeat each other weigh less here too.
    plain[tokens.programs, tokens.classes, tokens.classes] = weights
    share = (_SHARE + (_SHARE_OPEN - _SHARE) * opened)[:, :, None]
    start = prior ** (_SHARE + (_SHARE_OPEN - _SHARE) * mean_openness(moments))
    start /= start.sum()
    pooled = _lone_votes_win(share * matched + (1.0 - share) * plain, start, tokens, table)
    return Pooled(table=pooled, prior=prior, start=start)


def _lone_votes_win(pooled: Floats, start: Floats, tokens: Tokens, table: Floats) -> Floats:
    """Raise votes that would lose alone although they are right more often than chance.

    Nobody understands a row whose only vote is overruled by programs that said nothing.
    """
    k = len(start)
    silent = np.log(start) + pooled[:, k].sum(axis=0)
    alone = silent + pooled[tokens.programs, tokens.classes] - pooled[tokens.programs, k]
    own = np.arange(len(alone)), tokens.classes
    others = alone.copy()
    others[own] = -np.inf
    missing = others.max(axis=1) - alone[own] + _MARGIN
    raised = (table[own] * k >= 1.0) & (missing > 0)
    result = pooled.copy()
    result[tokens.programs[raised], tokens.classes[raised], tokens.classes[raised]] += missing[raised]
    return result


def vote_rates_by_class(moments: Moments, tokens: Tokens, table: Floats) -> Floats:
    """(m, k, k) P(vote a | class y) among covered rows: where nothing votes, abstaining says nothing of a program."""
    m, k = moments.num_programs, moments.num_classes
    rates = np.zeros((m * k, k))
    rates[tokens.places] = table * tokens.counts[:, None] / max(moments.num_covered, 1) / tokens.balance
    result: Floats = np.clip(rates, 1e-6, 0.999).reshape(m, k, k)
    return result


def _own_base(tokens: Tokens, table: Floats, num_programs: int) -> Floats:
    """(m, k) what a program's votes say on average."""
    sums = np.tile(_PSEUDO_VOTES * tokens.balance, (num_programs, 1))
    np.add.at(sums, tokens.programs, tokens.counts[:, None] * table)
    result: Floats = np.maximum(sums / sums.sum(axis=1, keepdims=True), FLOOR)
    return result
