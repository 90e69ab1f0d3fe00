"""Dawid-Skene by expectation maximisation over counted row patterns: the classic that crowds are aggregated with.

It looks at whole rows, so it needs their patterns; a million rows of ten programs are some thousands of them. Strong
where every row has many votes, weak where programs vote for one class and rarely meet: abstaining is taken to say
nothing, as its authors have it.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from engine.label_model.identifiability import doubtful_votes, refuse_nothing
from engine.label_model.model import LabelModel
from engine.label_model.prior import check_balance
from operators.moments import Moments
from operators.patterns import Patterns
from operators.posterior import Evidence
from operators.schema import ABSTAIN, Floats

_PSEUDO_VOTES = 1.0
"""Of each cell of a confusion matrix beforehand, spread over the classes; keeps a program seen once from certainty."""

_SWEEPS = 200
_CONVERGED = 1e-6
"""Largest change of a posterior at which the iteration rests."""


def dawid_skene(moments: Moments, patterns: Patterns, *, class_balance: tuple[float, ...] | None = None) -> LabelModel:
    """Fit a confusion matrix a program by expectation maximisation, started from the vote shares.

    Args:
        moments: of n rows, m programs and k classes.
        patterns: of the same rows.
        class_balance: (k,) positive, sums to 1; None to estimate it with the rest.

    Raises:
        ValueError: `class_balance` is no balance of the k classes, or the patterns are of other rows.
        NotIdentifiable: there is no row or no program.

    Reference:
        A. P. Dawid and A. M. Skene, Maximum likelihood estimation of observer error-rates using the EM algorithm,
        1979, equations 2.3 to 2.5; with a Dirichlet prior on each row of a confusion matrix.
    """
    refuse_nothing(moments)
    patterns.check_goes_with(moments.num_rows, moments.num_programs)
    m, k = moments.num_programs, moments.num_classes
    given = None if class_balance is None else check_balance(class_balance, k)
    covered = (patterns.votes != ABSTAIN).any(axis=1)
    cast, counts = one_hot(patterns.votes[covered], k), patterns.counts[covered].astype(np.float64)
    posterior = np.asarray(cast.reshape((cast.shape[0], m * k)) @ np.tile(np.eye(k), (m, 1)))
    posterior /= posterior.sum(axis=1, keepdims=True)
    table, prior = _maximised(cast, counts, posterior, m, given)
    for _ in range(_SWEEPS):
        scores = np.asarray(cast @ table) + np.log(prior)
        scores -= scores.max(axis=1, keepdims=True)
        moved = np.exp(scores)
        moved /= moved.sum(axis=1, keepdims=True)
        change = float(np.abs(moved - posterior).max(initial=0.0))
        posterior = moved
        table, prior = _maximised(cast, counts, posterior, m, given)
        if change < _CONVERGED:
            break
    evidence = Evidence(table=np.concatenate([table.reshape(m, k, k), np.zeros((m, 1, k))], axis=1), prior=prior)
    return LabelModel(
        evidence=evidence,
        method="dawid_skene",
        vote_rates=moments.first / moments.num_rows,
        given_vote=evidence.given_vote,
        class_balance=evidence.prior,
        vote_weights=np.ones((m, k)),
        warnings=doubtful_votes(moments) + _sampled(patterns),
    )


def _sampled(patterns: Patterns) -> tuple[str, ...]:
    if patterns.complete:
        return ()
    return (
        f"the rows hold more than {len(patterns.counts)} different patterns of votes, and the fit looks at a sample of "
        "so many",
    )


def one_hot(votes: np.ndarray, num_classes: int) -> sparse.csr_matrix:
    """Return (u, m k) with a one for each vote, columns in the order of (program, class)."""
    rows, programs = np.nonzero(votes != ABSTAIN)
    columns = programs * num_classes + votes[rows, programs]
    shape = (len(votes), votes.shape[1] * num_classes)
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


def _maximised(
    cast: sparse.csr_matrix, counts: Floats, posterior: Floats, num_programs: int, given: Floats | None
) -> tuple[Floats, Floats]:
    """Return (m k, k) log P(vote a | it votes, class y) and the prior that fit the posterior best."""
    k = posterior.shape[1]
    weighted = posterior * counts[:, None]
    seen = np.asarray(cast.T @ weighted).reshape(num_programs, k, k) + _PSEUDO_VOTES / k
    table: Floats = np.log(seen / seen.sum(axis=1, keepdims=True)).reshape(num_programs * k, k)
    prior = (weighted.sum(axis=0) + 1.0) / (weighted.sum() + k) if given is None else given
    return table, prior
