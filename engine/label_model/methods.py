"""Every way from counts to a label model, behind one name each."""

from __future__ import annotations

from engine.label_model.baselines import majority_vote, weighted_vote
from engine.label_model.dawid_skene import dawid_skene
from engine.label_model.gold import GoldCounts
from engine.label_model.model import LabelModel
from engine.label_model.triplets import triplets
from operators.moments import Moments
from operators.patterns import Patterns

METHODS = ("moment_matching", "majority_vote", "weighted_vote", "dawid_skene", "triplets")
"""`moment_matching` is ours; the others are what it is held against."""


def fit(
    method: str,
    moments: Moments,
    patterns: Patterns,
    *,
    class_balance: tuple[float, ...] | None = None,
    gold: GoldCounts | None = None,
) -> LabelModel:
    """Fit by name.

    Args:
        method: one of `METHODS`.
        moments: of n rows, m programs and k classes.
        patterns: of the same rows.
        class_balance: (k,) positive, sums to 1; None leaves it to the method.
        gold: of some rows, which moment matching alone can use.

    Raises:
        ValueError: the method is unknown, has no use for gold, or the patterns are of other rows.
        LabelModelError: the votes do not determine a label model.
    """
    if gold is not None and method != "moment_matching":
        raise ValueError(f"{method} has no use for gold labels; leave them out, or use moment_matching")
    match method:
        case "moment_matching":
            # Importing cvxpy takes a second; whoever fits by another method does not pay it.
            from engine.label_model import moment_matching

            return moment_matching.fit(moments, patterns, class_balance=class_balance, gold=gold)
        case "majority_vote":
            return majority_vote(moments, class_balance=class_balance)
        case "weighted_vote":
            return weighted_vote(moments, class_balance=class_balance)
        case "triplets":
            return triplets(moments, class_balance=class_balance)
        case "dawid_skene":
            return dawid_skene(moments, patterns, class_balance=class_balance)
        case _:
            raise ValueError(f"unknown label model {method!r}; expected one of {', '.join(METHODS)}")
