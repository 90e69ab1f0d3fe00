"""What a row costs: its target, its weight and a loss that forgives wrong labels more or less.

Soft labels are wrong for some rows and sure of most. Cross entropy believes them as they are. The symmetric loss adds
the cross entropy the other way round, which is bounded, and the generalised one is itself bounded, so that rows which
the features contradict pull less; targets can be sharpened or smoothed, and unsure rows or common classes weigh less.

References: Wang et al., Symmetric Cross Entropy for Robust Learning with Noisy Labels (2019); Zhang and Sabuncu,
Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels (2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from operators.schema import Floats

_LOG_ZERO = -4.0
"""The logarithm of a target of zero in the symmetric loss, as its authors set it."""

_POWER = 0.7
"""Of the generalised loss, as its authors set it: 0 is cross entropy, 1 the absolute error."""

LossName = Literal["cross_entropy", "symmetric", "generalized"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How rows are weighed against their soft labels; the default is plain cross entropy.

    Attributes:
        name: of the loss of a row.
        temperature: soft labels are raised to the power 1 / temperature: below 1 they get sharper.
        smoothing: share of the target that is spread evenly over the classes, 0..1.
        confidence_power: rows weigh their certainty (1 less their entropy over its maximum) to this power; 0 for none.
        by_class: whether every class weighs the same in total.
    """

    name: LossName = "cross_entropy"
    temperature: float = 1.0
    smoothing: float = 0.0
    confidence_power: float = 0.0
    by_class: bool = False

    def targets(self, soft: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what is learned in place of (n, k) soft labels; rows sum to 1."""
        if self.temperature == 1.0 and self.smoothing == 0.0:
            return soft
        sharp = soft.astype(np.float64) ** (1.0 / self.temperature)
        sharp /= sharp.sum(axis=1, keepdims=True)
        return np.asarray((1.0 - self.smoothing) * sharp + self.smoothing / soft.shape[1], dtype=soft.dtype)

    def weights(self, soft: npt.NDArray[Any], shares: Floats) -> Floats | None:
        """Return the (n,) weights of rows, None where all weigh 1.

        Args:
            soft: (n, k) soft labels as the label model gives them.
            shares: (k,) their mean over all rows.
        """
        if not self.confidence_power and not self.by_class:
            return None
        k = soft.shape[1]
        weights = np.ones(len(soft))
        if self.confidence_power:
            entropy = -(soft * np.log(np.maximum(soft, 1e-12))).sum(axis=1, dtype=np.float64)
            weights *= np.clip(1.0 - entropy / math.log(k), 0.0, 1.0) ** self.confidence_power
        if self.by_class:
            weights *= soft @ (1.0 / (k * np.maximum(shares, 1e-6)))
        return weights

    def values_and_errors(self, scores: Floats, targets: npt.NDArray[Any]) -> tuple[Floats, Floats]:
        """Return the loss of each row, (n,), and its derivative by the scores, (n, k)."""
        top = scores.max(axis=1)
        shifted = np.exp(scores - top[:, None])
        total = shifted.sum(axis=1)
        p = shifted / total[:, None]
        if self.name == "generalized":
            powers = targets * p**_POWER
            summed = powers.sum(axis=1)
            return np.asarray((targets.sum(axis=1) - summed) / _POWER), p * summed[:, None] - powers
        values = (top + np.log(total)) * targets.sum(axis=1) - (targets * scores).sum(axis=1)
        errors = p - targets
        if self.name == "symmetric":
            costs = -np.maximum(np.log(np.maximum(targets, math.exp(_LOG_ZERO))), _LOG_ZERO)
            mean = (p * costs).sum(axis=1)
            values, errors = values + mean, errors + p * (costs - mean[:, None])
        return np.asarray(values), np.asarray(errors)
