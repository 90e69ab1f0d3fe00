"""A hidden layer over the features that occurred."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from operators.end_model import LinearModel, softmax
from operators.errors import InputError
from operators.features import FeatureSpec, weighted
from operators.mlp import MlpModel
from operators.models import load_model
from operators.ngrams import NUM_LOOKS

D = 2**10 + NUM_LOOKS
TEXTS = ["good film", "bad", "", None]


def mlp(seed: int = 0) -> MlpModel:
    """A model with random weights that knows every other feature."""
    rng = np.random.default_rng(seed)
    used = np.arange(0, D, 2)
    return MlpModel(
        features=FeatureSpec(num_features_log2=10),
        class_names=("a", "b", "c"),
        scales=rng.uniform(1, 3, D).astype(np.float32),
        used=used,
        first=rng.normal(size=(len(used), 5)).astype(np.float32),
        first_bias=rng.normal(size=5).astype(np.float32),
        weight=rng.normal(size=(5, 3)).astype(np.float32),
        bias=rng.normal(size=3).astype(np.float32),
        temperature=1.5,
    )


def test_scores_are_those_of_the_whole_layer() -> None:
    """A feature that the layer does not know counts as a row of zeros in it."""
    model = mlp()
    whole = np.zeros((D, 5), np.float32)
    whole[model.used] = model.first
    features = weighted(model.featurizer.transform(TEXTS), model.scales).toarray()
    hidden = np.maximum(features @ whole + model.first_bias, 0)
    expected = softmax((hidden @ model.weight + model.bias) / 1.5)
    assert np.allclose(model.predict_proba(TEXTS), expected, atol=1e-6)


def test_a_round_trip_through_a_folder_changes_no_bit(tmp_path: Path) -> None:
    """A folder is read as the kind that it holds, and no other."""
    model = mlp()
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, MlpModel)
    assert np.array_equal(loaded.predict_proba(TEXTS), model.predict_proba(TEXTS))
    with pytest.raises(InputError, match="kind 'mlp', expected 'linear'"):
        LinearModel.load(tmp_path)
