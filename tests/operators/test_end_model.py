"""A saved model predicts what it did before it was saved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from operators.end_model import LinearModel, softmax
from operators.errors import InputError
from operators.features import FeatureSpec
from operators.ngrams import NUM_LOOKS


def _model(seed: int = 0) -> LinearModel:
    rng = np.random.default_rng(seed)
    d = 2**10 + NUM_LOOKS
    return LinearModel(
        features=FeatureSpec(num_features_log2=10),
        class_names=("a", "b", "c"),
        weight=rng.normal(size=(d, 3)).astype(np.float32),
        bias=rng.normal(size=3).astype(np.float32),
        scales=rng.uniform(1, 3, size=d).astype(np.float32),
        extra={"facts": {"task": "t"}},
    )


TEXTS = ["good film", "bad", "", None]


def test_a_round_trip_changes_no_bit(tmp_path: Path) -> None:
    """What is read predicts the same probabilities, and keeps names and facts."""
    model = _model()
    model.save(tmp_path)
    loaded = LinearModel.load(tmp_path)
    assert np.array_equal(loaded.predict_proba(TEXTS), model.predict_proba(TEXTS))
    assert (loaded.class_names, loaded.extra) == (model.class_names, model.extra)


def test_probabilities_sum_to_one_and_empty_texts_get_the_bias() -> None:
    """Rows are distributions; without words only the bias speaks."""
    model = _model()
    found = model.predict_proba(TEXTS)
    assert found.shape == (4, 3)
    assert np.allclose(found.sum(axis=1), 1)
    assert np.allclose(found[2:], softmax(model.bias[None]))


def test_batches_do_not_matter() -> None:
    """More texts than a batch get the same probabilities one by one."""
    texts = [f"text {i}" for i in range(5000)]
    found = _model().predict_proba(texts)
    assert np.array_equal(
        found[[0, 4095, 4096, 4999]], _model().predict_proba([texts[i] for i in (0, 4095, 4096, 4999)])
    )


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    """Message says which file is missing and where."""
    with pytest.raises(InputError, match=r"config\.json is missing"):
        LinearModel.load(tmp_path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    """A model of a later version is not misread."""
    _model().save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"format": 99}))
    with pytest.raises(InputError, match="format 99, expected 3"):
        LinearModel.load(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    """Half a file is no model."""
    _model().save(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read"):
        LinearModel.load(tmp_path)
