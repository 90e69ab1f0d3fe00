"""Votes with a known truth: programs that err independently given the class, drawn from a planted table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from operators.schema import ABSTAIN, Floats, Votes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planted:
    """A label matrix and what it was drawn from.

    Attributes:
        votes: (n, m) int8.
        gold: (n,) int8, the true classes.
        theta: (m, k+1, k), P(vote a by program j given class y), the last a is abstain.
        class_balance: (k,).
    """

    votes: Votes
    gold: Votes
    theta: Floats
    class_balance: Floats


def plant_table(
    *,
    num_programs: int,
    num_classes: int,
    coverage: tuple[float, float] = (0.3, 0.8),
    accuracy: tuple[float, float] = (0.6, 0.9),
    rng: np.random.Generator,
) -> Floats:
    """Draw a vote table of programs that vote for every class and err evenly.

    Args:
        num_programs: m.
        num_classes: k.
        coverage: least and largest P(a program votes), 0..1.
        accuracy: least and largest P(right given that it votes), 0..1.
        rng: drawn from.

    Returns:
        (m, k+1, k) theta.
    """
    m, k = num_programs, num_classes
    covers = rng.uniform(*coverage, size=m)[:, None, None]
    right = rng.uniform(*accuracy, size=m)[:, None, None]
    own = np.eye(k)[None]
    votes = covers * (right * own + (1.0 - right) / (k - 1) * (1.0 - own))
    return np.concatenate([votes, 1.0 - votes.sum(axis=1, keepdims=True)], axis=1)


def plant(*, theta: Floats, class_balance: Floats, num_rows: int, rng: np.random.Generator) -> Planted:
    """Draw rows.

    Args:
        theta: (m, k+1, k), sums to 1 over its second axis.
        class_balance: (k,), sums to 1.
        num_rows: n.
        rng: drawn from.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> theta = plant_table(num_programs=3, num_classes=2, rng=rng)
        >>> plant(theta=theta, class_balance=np.array([0.5, 0.5]), num_rows=4, rng=rng).votes.shape
        (4, 3)
    """
    m, k = len(theta), len(class_balance)
    gold = rng.choice(k, size=num_rows, p=class_balance).astype(np.int8)
    # The vote is the first place where the cumulated table passes a uniform draw.
    cumulated = np.cumsum(theta, axis=1)
    draws = rng.random((num_rows, m))
    votes = np.empty((num_rows, m), np.int8)
    for j in range(m):
        places = (draws[:, j, None] > cumulated[j][:k, gold].T).sum(axis=1)
        votes[:, j] = np.where(places == k, ABSTAIN, places)
    return Planted(votes=votes, gold=gold, theta=theta, class_balance=class_balance)
