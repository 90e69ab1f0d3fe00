"""The temperature of a distilled model, and how its confidence stands to the soft labels it did not see.

A model of words is often too sure of itself, or, where it is held back by regularization, not sure enough. Dividing
its scores by one number mends the mean of that and changes no prediction. The number is the one that predicts held-out
soft labels best; gold is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.distillation.groups import Group
from operators.end_model import softmax
from operators.schema import Floats

_STEPS = 31
_COARSE, _FINE = 1.5, 0.1
"""Half widths of the two grids, in natural logarithms: temperatures from .22 to 4.5, found to within 1 percent."""

_FEW = np.linspace(-1.2, 1.2, 13)
"""Logarithms of the temperatures at which candidates are compared, between which a parabola finds the least loss."""

_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Held-out rows of about the same confidence.

    Attributes:
        low: smallest confidence, 0..1; `high` is the largest.
        rows: how many.
        confidence: their mean confidence, None without rows.
        soft_label: mean soft label of the predicted class: equal to the confidence in a calibrated model.
    """

    low: float
    high: float
    rows: int
    confidence: float | None
    soft_label: float | None


def best_temperature(scores: npt.NDArray[Any], soft: npt.NDArray[Any], group: Group) -> float:
    """Find the temperature with the least cross entropy with (n, k) soft labels, over the rows of all workers."""
    scores = scores.astype(np.float64)
    centre = 0.0
    for width in (_COARSE, _FINE):
        logarithms = centre + np.linspace(-width, width, _STEPS)
        losses = group.total(np.array([_loss(scores / np.exp(t), soft) for t in logarithms]))
        centre = float(logarithms[losses.argmin()])
    return float(np.exp(centre))


def losses_by_temperature(scores: npt.NDArray[Any], soft: npt.NDArray[Any], weights: Floats | None = None) -> Floats:
    """Sum the cross entropy of (n, k) scores with soft labels at some temperatures, for `least_loss`; adds up."""
    scores = scores.astype(np.float64)
    return np.array([_loss(scores / np.exp(t), soft, weights) for t in _FEW])


def least_loss(losses: Floats) -> float:
    """Return the loss at the best temperature, of what `losses_by_temperature` gave for all rows.

    Models are compared by it, since the one that is chosen is calibrated: how sure a model is says nothing of how well
    it tells classes apart, and one that learned from thinned rows is too sure of whole ones.
    """
    at = int(np.clip(losses.argmin(), 1, len(losses) - 2))
    before, here, after = losses[at - 1 : at + 2]
    bend = before - 2 * here + after
    least = here if bend <= 0 else here - (before - after) ** 2 / (8 * bend)
    # Beyond its three points a parabola knows nothing.
    return float(min(losses.min(), least)) if losses.argmin() == at else float(losses.min())


def reliability(scores: npt.NDArray[Any], soft: npt.NDArray[Any], group: Group) -> tuple[ReliabilityBin, ...]:
    """Compare confidence with the soft label of the predicted class, in ten bins over the rows of all workers."""
    p = softmax(scores)
    sums = np.zeros((3, _BINS))
    if len(p):
        confidence, chosen = p.max(axis=1), p.argmax(axis=1)
        place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
        told = soft[np.arange(len(soft)), chosen].astype(np.float64)
        for i, values in enumerate((np.ones(len(p)), confidence, told)):
            sums[i] = np.bincount(place, values, minlength=_BINS)
    rows, confidences, labels = group.total(sums)
    return tuple(
        ReliabilityBin(
            low=b / _BINS,
            high=(b + 1) / _BINS,
            rows=int(rows[b]),
            confidence=float(confidences[b] / rows[b]) if rows[b] else None,
            soft_label=float(labels[b] / rows[b]) if rows[b] else None,
        )
        for b in range(_BINS)
    )


def _loss(scores: Floats, soft: npt.NDArray[Any], weights: Floats | None = None) -> float:
    top = scores.max(axis=1, initial=-np.inf)
    partition = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    losses = partition * soft.sum(axis=1) - (soft * scores).sum(axis=1)
    return float((losses if weights is None else losses * weights).sum())
