"""Learning from rows that no program votes on: the model labels those it is sure of and is trained again.

It is off by default. Uncovered rows differ from covered ones, and a model that is wrong about them confirms itself;
held-out soft labels, which are all of covered rows, can say that it got worse there and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from engine.distillation.groups import Group
from engine.distillation.rows import Rows
from operators.end_model import softmax
from operators.features import Sparse

_SURE = 0.8
"""Calibrated confidence from which an uncovered row is learned from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTraining:
    """What uncovered rows brought.

    Attributes:
        rows: uncovered rows that were learned from.
        kept: whether the second model is the one that is kept.
        heldout_loss: of the second model, None where no uncovered row was sure enough.
    """

    rows: int
    kept: bool
    heldout_loss: float | None


def learn_from_uncovered(rows: Rows, uncovered: Sparse, scores: npt.NDArray[Any], group: Group) -> tuple[Rows, int]:
    """Add the sure ones of this worker's uncovered rows, with what the model says as their soft label.

    Args:
        rows: of this worker, to train on.
        uncovered: (u, d) weighted features.
        scores: (u, k) calibrated scores of the model.
        group: whose rows are counted.

    Returns:
        the rows to train on, and how many of all workers' were added.
    """
    p = softmax(scores)
    sure = p.max(axis=1, initial=0.0) >= _SURE
    taken = int(group.total(np.array([float(sure.sum())]))[0])
    features = sp.vstack([rows.features, uncovered[sure]], format="csr")
    soft = np.concatenate([rows.soft, p[sure].astype(np.float32)])
    folds = np.concatenate([rows.folds, np.ones(int(sure.sum()), np.uint8)])
    return replace(rows, features=features, soft=soft, folds=folds), taken
