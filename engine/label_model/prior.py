"""The prior: the class balance that the user gives, or one estimated from majority votes and shrunk to uniform.

Moments of second order do not determine the class balance, and majority votes lean to the classes that more programs
vote for. Where programs vote for one class each, how often a class is voted says how many programs know it, not how
frequent it is: the estimate is then shrunk, the more the less independence explains the pairs. Programs that vote for
every class on most rows do measure the balance, and are left alone: shrinking it there is what once cost 20 points of
F1 on a crowd of 12% positives.

The rule was chosen on the 26 matrices of benchmarks/label_model_quality.py and on planted ones, so its scores there
are a fit, not a test. No step of the choice on one half of them was confirmed to the point on the other.
"""

from __future__ import annotations

import numpy as np

from engine.label_model.anchor import Tokens
from engine.label_model.gold import GoldCounts
from operators.moments import Moments
from operators.schema import Floats

_LEAST_SHARE = 0.01
"""A program uses a class if at least this share of its votes is for it: a slip does not make it open."""

_MOST_SHRINKING = 0.4
_INDEPENDENT, _DEPENDENT = 0.2, 0.4
"""Doubts of independence from which shrinking begins, and at which it is full."""


def choose_prior(
    moments: Moments,
    tokens: Tokens,
    *,
    doubt: float,
    class_balance: tuple[float, ...] | None,
    gold: GoldCounts | None = None,
) -> tuple[Floats, str]:
    """Return the prior and where it comes from.

    Args:
        moments: of the votes.
        tokens: read from them.
        doubt: see `Diagnostics.independence_doubt`.
        class_balance: (k,) given by the user, or None.
        gold: labelled rows given by the user, which count against the shrinking.

    Returns:
        (k,) positive, sums to 1; and "given", "estimated" or "shrunk".

    Raises:
        ValueError: `class_balance` is no balance of the k classes.
    """
    if class_balance is not None:
        return check_balance(class_balance, moments.num_classes), "given"
    dependence = min(1.0, max(0.0, (doubt - _INDEPENDENT) / (_DEPENDENT - _INDEPENDENT)))
    measured = mean_openness(moments) * moments.num_covered / moments.num_rows
    shrink = _MOST_SHRINKING * dependence * (1.0 - measured)
    prior: Floats = (1.0 - shrink) * tokens.balance + shrink / moments.num_classes
    if gold is not None:
        prior = gold.balance(prior)
    return prior, "shrunk" if shrink > 0 else "estimated"


def check_balance(class_balance: tuple[float, ...], num_classes: int) -> Floats:
    """Return a class balance as an array that sums to 1 to the last bit that matters.

    Raises:
        ValueError: it is no balance of `num_classes` classes.
    """
    given = np.asarray(class_balance, np.float64)
    if given.shape != (num_classes,) or not (given > 0).all() or abs(float(given.sum()) - 1.0) > 1e-6:
        raise ValueError(f"class_balance must be {num_classes} positive shares that sum to 1, got {class_balance}")
    balance: Floats = given / given.sum()
    return balance


def openness(moments: Moments) -> Floats:
    """(m,) how far each program votes for every class: 0 for one class alone, 1 for all of them."""
    votes = moments.first.sum(axis=1)
    used = (moments.first > 0) & (moments.first >= _LEAST_SHARE * votes[:, None])
    classes = np.maximum(used.sum(axis=1), 1)
    result: Floats = (classes - 1.0) / (moments.num_classes - 1)
    return result


def mean_openness(moments: Moments) -> float:
    """Openness of the program behind a vote, on average over the votes; 0 without votes."""
    votes = moments.first.sum(axis=1)
    return float((votes * openness(moments)).sum() / max(1, votes.sum()))
