"""Label models of other libraries, for benchmarks/label_model_quality.py; `pip install -e .[bench]` brings them.

Each at one fixed setting, as its documentation has it, without gold, on covered rows.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import pandas as pd

from operators.schema import ABSTAIN, Floats, Votes

Method = Callable[[Votes, int], Floats]
"""From a label matrix whose rows all have a vote, and k, to soft labels."""


def snorkel(votes: Votes, num_classes: int) -> Floats:
    """Snorkel's generative model, 500 epochs at a rate of .01, uniform class balance, seed 0."""
    from snorkel.labeling.model import LabelModel

    model = LabelModel(cardinality=num_classes, verbose=False)
    model.fit(L_train=votes.astype(int), n_epochs=500, lr=0.01, seed=0, progress_bar=False)
    soft: Floats = model.predict_proba(votes.astype(int))
    return soft


def crowd_dawid_skene(votes: Votes, num_classes: int) -> Floats:
    """crowd-kit's Dawid-Skene, 100 iterations."""
    from crowdkit.aggregation import DawidSkene

    return _by_crowdkit(DawidSkene(n_iter=100), votes, num_classes)


def crowd_wawa(votes: Votes, num_classes: int) -> Floats:
    """crowd-kit's worker agreement with aggregate."""
    from crowdkit.aggregation import Wawa

    return _by_crowdkit(_estimator(Wawa)(), votes, num_classes)


def crowd_zero_based_skill(votes: Votes, num_classes: int) -> Floats:
    """crowd-kit's zero-based skill."""
    from crowdkit.aggregation import ZeroBasedSkill

    return _by_crowdkit(_estimator(ZeroBasedSkill)(), votes, num_classes)


def available() -> dict[str, Method]:
    """Return the methods whose library is installed, by name."""
    found: dict[str, Method] = {}
    if importlib.util.find_spec("snorkel") is not None:
        found["snorkel"] = snorkel
    if importlib.util.find_spec("crowdkit") is not None:
        found["crowdkit_dawid_skene"] = crowd_dawid_skene
        found["crowdkit_wawa"] = crowd_wawa
        found["crowdkit_zero_based_skill"] = crowd_zero_based_skill
    return found


def _estimator(kind: type) -> type:
    """Make a class of crowd-kit 1.4 an estimator that scikit-learn 1.6 and later takes for one."""
    from sklearn.base import BaseEstimator

    return type(kind.__name__, (kind, BaseEstimator), {})


def _by_crowdkit(model: object, votes: Votes, num_classes: int) -> Floats:
    rows, programs = np.nonzero(votes != ABSTAIN)
    cast = pd.DataFrame({"task": rows, "worker": programs, "label": votes[rows, programs]})
    given = model.fit_predict_proba(cast)  # type: ignore[attr-defined]
    soft = given.reindex(index=range(len(votes)), columns=range(num_classes)).fillna(0.0).to_numpy(np.float64)
    result: Floats = soft / np.maximum(soft.sum(axis=1, keepdims=True), 1e-300)
    return result
