"""The prior of soft labels: given by the user, or the balance of majority votes, shrunk where it may lean.

Majority votes overstate a class that more programs vote for, or whose rows are easier to vote on. Where
programs are not independent (`doubt` is high) nothing corrects that, and half of the way to uniform is worth
a point on 24 real matrices. But where every row has votes, by programs that vote for either class, the
majority is not selective and a rare class is rare: shrinking made one of 12% three times as frequent
(product_er, F1 38.9; majority vote 59.0). So the shrinking is held back as far as votes are open, dense and
unbalanced; a balance near uniform has nothing to lose by it:

    shrink = 1/2 clip((doubt - .2) / .2) (1 - openness clip(2 coverage - 1) clip((1 - H) / .4)),   clip to 0..1
    openness = mean over votes of (classes that the vote's program uses - 1) / (k - 1)
    H = entropy of the balance / log k

It needs no labels to run, but it was chosen on the 20 matrices of benchmarks/label_model.py, product_er among
them (56.8 now): its effect there is a fit, not a test. The last factor was chosen knowing the scores on the
training rows of examples/imdb too (83.7, without it 83.5, majority vote 83.6).
"""

from __future__ import annotations

import math

import numpy as np

from engine.label_model.anchor import Tokens
from operators.moments import Moments
from operators.schema import Floats

_LEAST_SHARE = 0.01
"""A program uses a class if at least this share of its votes is for it: a slip does not make it open."""

_FULLY_UNBALANCED = 0.4
"""Distance of the entropy from that of uniform, relative to it, from which a balance counts as unbalanced."""


def choose_prior(
    moments: Moments, tokens: Tokens, *, doubt: float, class_balance: tuple[float, ...] | None
) -> tuple[Floats, str]:
    """Return the prior and where it comes from.

    Args:
        moments: of the votes.
        tokens: read from them.
        doubt: see `Diagnostics.independence_doubt`.
        class_balance: (k,) given by the user, or None.

    Returns:
        (k,) positive, sums to 1; and "given", "estimated" or "shrunk".

    Raises:
        ValueError: `class_balance` is no balance of the k classes.
    """
    if class_balance is not None:
        return check_balance(class_balance, moments.num_classes), "given"
    k = moments.num_classes
    density = _clip(2.0 * moments.num_covered / moments.num_rows - 1.0)
    entropy = float(-(tokens.balance * np.log(tokens.balance)).sum()) / math.log(k)
    selective = 1.0 - _openness(moments) * density * _clip((1.0 - entropy) / _FULLY_UNBALANCED)
    shrink = 0.5 * _clip((doubt - 0.2) / 0.2) * selective
    return (1.0 - shrink) * tokens.balance + shrink / k, "shrunk" if shrink > 0 else "estimated"


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


def _openness(moments: Moments) -> float:
    """How far the programs behind the votes vote for every class: 0 for one class each, 1 for all."""
    votes = moments.first.sum(axis=1)
    if not votes.any():
        return 0.0
    used = (moments.first > 0) & (moments.first >= _LEAST_SHARE * votes[:, None])
    classes = np.maximum(used.sum(axis=1), 1)
    return float((votes * (classes - 1)).sum() / votes.sum() / (moments.num_classes - 1))


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))
