"""Choosing among trained weights by held-out soft labels, and noticing a collapse.

Training on soft labels can end in a model that predicts one class for nearly all rows and still has a fair loss:
strong regularization does it where classes are uneven. Its predicted class shares give it away, without gold.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.schema import Floats

LOST = 0.25
"""A class has collapsed when fewer rows are predicted than this share of those that the soft labels give it."""


def least_share(num_classes: int) -> float:
    """Return the share of labels below which a class is too small to say that it collapsed."""
    return min(0.02, 0.5 / num_classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Weights after an epoch, as held-out rows see them.

    Attributes:
        regularization: weight of the L2 penalty.
        epoch: of this regularization, from 1; 0 for the start.
        train_loss: objective, with the penalty.
        heldout_loss: mean cross entropy with the soft labels, at the temperature that suits the weights best, of rows
            that are thinned as in training; see `dropout`.
        predicted_shares: (k,) share of rows with each class the most probable.
        label_shares: (k,) share of the same rows with each class the most probable by their soft labels.
    """

    regularization: float
    epoch: int
    train_loss: float
    heldout_loss: float
    predicted_shares: tuple[float, ...]
    label_shares: tuple[float, ...]

    @property
    def collapsed(self) -> tuple[int, ...]:
        """Classes that are predicted far less often than the soft labels say."""
        pairs = zip(self.predicted_shares, self.label_shares, strict=True)
        least = least_share(len(self.label_shares))
        return tuple(c for c, (predicted, told) in enumerate(pairs) if told >= least and predicted < LOST * told)

    @property
    def share_distance(self) -> float:
        """Total variation between predicted shares and those of the labels, 0..1."""
        return float(np.abs(np.subtract(self.predicted_shares, self.label_shares)).sum() / 2)

    def rank(self) -> tuple[int, float, float]:
        """Order candidates: without collapse by loss; with it, the one that lost fewest classes, then by shares."""
        lost = len(self.collapsed)
        return (lost, self.share_distance if lost else self.heldout_loss, self.heldout_loss)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"collapsed": list(self.collapsed)}


def class_shares(labels: npt.NDArray[Any]) -> Floats:
    """Count (n, k) scores or soft labels by their most probable class, a tie for all that are tied; (k,)."""
    top = labels == labels.max(axis=1, keepdims=True, initial=-np.inf)
    return np.asarray((top / np.maximum(1, top.sum(axis=1, keepdims=True))).sum(axis=0))


@dataclass(slots=True)
class Choice:
    """The best candidate so far, with its weights, and the one that loss alone would take."""

    best: Candidate | None
    weights: Floats
    by_loss: Candidate | None

    @classmethod
    def none(cls, weights: Floats) -> Choice:
        """Start with nothing offered."""
        return cls(None, weights, None)

    def offer(self, candidate: Candidate, weights: Floats) -> None:
        """Keep a candidate if it is better; `weights` must not change afterwards."""
        if self.best is None or candidate.rank() < self.best.rank():
            self.best, self.weights = candidate, weights
        if self.by_loss is None or candidate.heldout_loss < self.by_loss.heldout_loss:
            self.by_loss = candidate
