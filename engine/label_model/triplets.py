"""FlyingSquid's triplet estimator: accuracies in closed form from the agreement of three programs at a time.

If programs err independently given the class, the agreement of two is the product of their accuracies, so three
agreements give each accuracy. For more than two classes each class is held against the rest.
"""

from __future__ import annotations

import numpy as np

from engine.label_model.identifiability import doubtful_votes, refuse_nothing
from engine.label_model.model import LabelModel
from engine.label_model.prior import check_balance
from operators.moments import Moments
from operators.posterior import Evidence
from operators.schema import Floats

_LEAST_MEETINGS = 10
"""Rows that two programs must share for their agreement to count."""

_LEAST_AGREEMENT = 0.01
"""Agreement beyond chance below which a pair is no denominator."""

_MOST = 0.98
"""Accuracy beyond chance, -1..1, is kept within this, so that no single vote decides."""


def triplets(moments: Moments, *, class_balance: tuple[float, ...] | None = None) -> LabelModel:
    """Estimate the accuracy of each program for each class against the rest, by the median over its triplets.

    A program that is in no triplet gets the mean of the others. All are taken to be better than chance.

    Args:
        moments: of n rows, m programs and k classes.
        class_balance: (k,) positive, sums to 1; None for majority vote's, which the method itself does not estimate.

    Raises:
        ValueError: `class_balance` is no balance of the k classes.
        NotIdentifiable: there is no row or no program.

    Reference:
        D. Fu and others, Fast and three-rious: speeding up weak supervision with triplet methods, 2020, algorithm 1.
    """
    refuse_nothing(moments)
    m, k = moments.num_programs, moments.num_classes
    table = np.zeros((m, k + 1, k))
    for y in range(1 if k == 2 else 0, k):
        log_odds = 2.0 * np.arctanh(_accuracies(moments, y))
        sign = np.where(np.arange(k) == y, 1.0, -1.0)
        if k == 2:
            table[:, :2, 1], table[:, :2, 0] = 0.5 * log_odds[:, None] * sign, -0.5 * log_odds[:, None] * sign
        else:
            table[:, :k, y] = log_odds[:, None] * sign
    wins = moments.majority_shares()
    estimated = (wins + 1.0) / (wins.sum() + k)
    evidence = Evidence(table=table, prior=estimated if class_balance is None else check_balance(class_balance, k))
    return LabelModel(
        evidence=evidence,
        method="triplets",
        vote_rates=moments.first / moments.num_rows,
        given_vote=evidence.given_vote,
        class_balance=evidence.prior,
        vote_weights=np.ones((m, k)),
        warnings=doubtful_votes(moments),
    )


def _accuracies(moments: Moments, y: int) -> Floats:
    """(m,) 2 P(right) - 1 of each program at telling class y from the rest, where it votes."""
    m, k = moments.num_programs, moments.num_classes
    sign = np.where(np.arange(k) == y, 1.0, -1.0)
    meetings = moments.second.sum(axis=(1, 3)).astype(np.float64)
    products = np.einsum("iajb,a,b->ij", moments.second.astype(np.float64), sign, sign)
    np.fill_diagonal(meetings, 0.0)
    counted = meetings >= _LEAST_MEETINGS
    agreement = np.divide(products, meetings, out=np.zeros((m, m)), where=counted)
    found = np.full(m, np.nan)
    for i in range(m):
        others = np.flatnonzero(counted[i])
        pairs = agreement[np.ix_(others, others)]
        usable = counted[np.ix_(others, others)] & (np.abs(pairs) > _LEAST_AGREEMENT)
        usable &= np.triu(np.ones_like(usable), 1)
        if usable.any():
            squared = np.abs(np.outer(agreement[i, others], agreement[i, others])[usable] / pairs[usable])
            found[i] = np.sqrt(np.median(squared))
    known = ~np.isnan(found)
    found[~known] = found[known].mean() if known.any() else 0.5
    result: Floats = np.clip(found, 0.0, _MOST)
    return result
