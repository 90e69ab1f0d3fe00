"""How telling a feature is, before any training: the penalty on its weights follows it.

A penalty that is the same for all weights makes a model of few rows spread its trust over thousands of words that say
nothing. Here a weight is penalised the less, the more the feature's share differs between rows of the class and all
others, by their soft labels. It is what counts for a naive Bayes classifier, as a prior of the linear one.

Reference: S. Wang and C. Manning, Baselines and bigrams: simple, good sentiment and topic classification, ACL 2012.
They multiply the features by the ratio; to divide the penalty by its square is the same model for one class against
another, and serves any number of classes with one set of features.
"""

from __future__ import annotations

import numpy as np

from engine.distillation.groups import Group
from engine.distillation.rows import Rows
from operators.schema import Floats

_ALPHA = 1.0
"""Rows, with the feature and without it, that are added to each side."""

_FLOOR = 0.1
"""Of the mean: the ratio of a feature that tells nothing, so that no weight is held at zero for good."""


def penalty_factors(rows: Rows, group: Group) -> Floats:
    """Return by how much the penalty of each weight differs from the mean one; (d, k).

    Args:
        rows: of this worker, to train on; a feature is there or not, its value does not matter.
        group: whose rows are counted.
    """
    present = rows.features.copy()
    present.data = np.ones_like(present.data)
    d, k = present.shape[1], rows.soft.shape[1]
    inside = np.asarray(present.T @ rows.soft, np.float64)
    everywhere = np.bincount(present.indices, minlength=d).astype(np.float64)
    of_class = rows.soft.sum(axis=0, dtype=np.float64)
    told = group.total(np.concatenate([inside.ravel(), everywhere, of_class, [float(rows.num_rows)]]))
    inside, everywhere = told[: d * k].reshape(d, k), told[d * k : d * k + d, None]
    of_class, num_rows = told[-k - 1 : -1], told[-1]
    share_inside = (inside + _ALPHA) / (of_class + 2 * _ALPHA)
    share_outside = (np.maximum(everywhere - inside, 0.0) + _ALPHA) / (num_rows - of_class + 2 * _ALPHA)
    ratios = np.abs(np.log(share_inside / share_outside))
    # Features that all rows have, as an embedding's, tell nothing by being there: they are penalised alike.
    mean = ratios.mean() if ratios.size else 0.0
    if mean == 0.0:
        return np.ones((d, k))
    return np.asarray((_FLOOR + (1.0 - _FLOOR) * ratios / mean) ** -2.0)
