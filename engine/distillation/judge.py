"""What the held-out rows say of weights: the loss that chooses among them, and the classes that they predict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.distillation.calibration import least_loss, losses_by_temperature
from engine.distillation.choice import Candidate, class_shares
from engine.distillation.groups import Group
from engine.distillation.rows import Rows
from operators.end_model import scores_of
from operators.schema import Floats

Scores = npt.NDArray[Any]


class Judge:
    """Loss and predicted class shares on the held-out rows of all workers."""

    def __init__(
        self, heldout: Rows, judged: Rows, group: Group, on_candidate: Callable[[Candidate, Scores], None] | None
    ) -> None:
        """Set up; for the arguments see `loop.train`."""
        self._heldout, self._judged, self._group, self._on_candidate = heldout, judged, group, on_candidate
        self._targets = judged.soft if judged.targets is None else judged.targets
        told = [*class_shares(heldout.soft), float(heldout.num_rows), judged.total_weight]
        *sums, self._num_rows, self._weight = group.total(np.array(told))
        self._shares = np.array(sums) / self._num_rows

    def __call__(self, weights: Floats, *, regularization: float, epoch: int, train_loss: float) -> Candidate:
        """Judge (d + 1, k) weights, the bias last."""
        scores = scores_of(self._heldout.features, weights)
        judged = scores if self._judged is self._heldout else scores_of(self._judged.features, weights)
        losses = losses_by_temperature(judged, self._targets, self._judged.weights)
        predicted = np.bincount(scores.argmax(axis=1), minlength=scores.shape[1]).astype(np.float64)
        total = self._group.total(np.concatenate([predicted, losses]))
        predicted, losses = total[: len(predicted)], total[len(predicted) :]
        candidate = Candidate(
            regularization=regularization,
            epoch=epoch,
            train_loss=train_loss,
            heldout_loss=least_loss(losses) / float(self._weight),
            predicted_shares=tuple((predicted / self._num_rows).tolist()),
            label_shares=tuple(self._shares.tolist()),
        )
        if self._on_candidate is not None:
            self._on_candidate(candidate, scores)
        return candidate
