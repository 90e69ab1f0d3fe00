"""Votes counted, plainly and weighted: what every label model is held against.

Both are evidence tables like any other, so that the same workers label rows with them.
"""

from __future__ import annotations

import numpy as np

from engine.label_model.identifiability import doubtful_votes, refuse_nothing
from engine.label_model.model import LabelModel
from engine.label_model.prior import check_balance
from operators.moments import Moments
from operators.posterior import Evidence
from operators.schema import Floats


def majority_vote(moments: Moments, *, class_balance: tuple[float, ...] | None = None) -> LabelModel:
    """Give each vote the same weight, so that the class with most votes wins.

    Args:
        moments: of n rows, m programs and k classes, n and m at least 1.
        class_balance: (k,) positive, sums to 1: breaks ties and labels uncovered rows, and overrules no
            majority. None for uniform, which leaves ties as they are.

    Raises:
        ValueError: `class_balance` is no balance of the k classes.
        NotIdentifiable: there is no row or no program.

    Example:
        >>> votes = np.array([[0, 0, 1], [1, -1, 1], [0, 1, -1]])
        >>> majority_vote(Moments.of(votes, 2)).predict(votes)
        array([ 0,  1, -1], dtype=int8)
    """
    refuse_nothing(moments)
    weights = np.ones(moments.num_programs)
    return _vote(moments, weights=weights, class_balance=class_balance, method="majority_vote")


def weighted_vote(moments: Moments, *, class_balance: tuple[float, ...] | None = None) -> LabelModel:
    """Weigh each program by the log odds of its agreement with the other votes in its rows.

    Args:
        moments: of n rows, m programs and k classes, n and m at least 1.
        class_balance: as for `majority_vote`.

    Raises:
        ValueError: `class_balance` is no balance of the k classes.
        NotIdentifiable: there is no row or no program.

    Reference:
        Worker agreement with aggregate, https://github.com/Toloka/crowd-kit (Wawa), with log odds as weights.
    """
    refuse_nothing(moments)
    k = moments.num_classes
    votes = moments.first.sum(axis=1)
    agreeing = np.einsum("jaa->j", moments.vote_shares())
    # One vote that agrees and k - 1 that do not, beforehand: a program seen once is not believed blindly.
    accuracy = (agreeing + 1.0) / (votes + k)
    # A program below chance is not turned round: a wrong vote says little about which other class is right.
    odds = np.maximum(accuracy * (k - 1.0) / (1.0 - accuracy), 1.01)
    weights = np.log(odds)
    return _vote(moments, weights=weights / weights.max(), class_balance=class_balance, method="weighted_vote")


def _vote(moments: Moments, *, weights: Floats, class_balance: tuple[float, ...] | None, method: str) -> LabelModel:
    m, k = moments.num_programs, moments.num_classes
    prior = np.full(k, 1.0 / k)
    if class_balance is not None:
        prior = check_balance(class_balance, k)
    # One vote more must outweigh any prior.
    strength = 1.0 + float(np.log(prior.max() / prior.min()))
    table = np.zeros((m, k + 1, k))
    table[:, np.arange(k), np.arange(k)] = strength * weights[:, None]
    evidence = Evidence(table=table, prior=prior)
    return LabelModel(
        evidence=evidence,
        method=method,
        vote_rates=moments.first / moments.num_rows,
        given_vote=evidence.given_vote,
        class_balance=evidence.prior,
        vote_weights=np.ones((m, k)),
        warnings=doubtful_votes(moments),
    )
