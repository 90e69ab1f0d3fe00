"""A model folder is read by its kind, and says of which files it is made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from operators.end_model import LinearModel
from operators.errors import InputError
from operators.features import FeatureSpec
from operators.models import load_model, model_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a linear model of four embedded numbers, and files that are not part of it."""
    zeros = np.zeros(2, np.float32)
    LinearModel(
        features=FeatureSpec(kind="embedding", width=4),
        class_names=("a", "b"),
        scales=np.ones(4, np.float32),
        weight=np.zeros((4, 2), np.float32),
        bias=zeros,
    ).save(tmp_path)
    for name in ("README.md", "model.onnx", "vocab.txt"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_a_linear_model_is_two_files(folder: Path) -> None:
    """What a user puts beside a model is no part of it, so that its digest stays."""
    assert isinstance(load_model(str(folder)), LinearModel)
    assert model_files(folder) == ("config.json", "model.safetensors")


def test_a_fine_tuned_model_has_its_tokenizer_too(folder: Path) -> None:
    """Our part of a transformers config says that other files belong to the model."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({"alchemist": config | {"kind": "fine_tune"}}))
    assert model_files(folder) == ("config.json", "model.safetensors", "vocab.txt")


def test_an_unknown_kind_is_named(folder: Path) -> None:
    """A model of a later version is not misread."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"kind": "forest"}))
    with pytest.raises(InputError, match="'forest', which this version does not know"):
        load_model(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    """Half a folder is no model, and the message says which half is there."""
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="model.safetensors is missing"):
        model_files(folder)
