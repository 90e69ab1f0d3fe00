"""The ONNX graph of a model gives the model's probabilities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from engine.cli.main import app
from engine.distillation.end_model import EndModel
from engine.errors import EngineError
from operators.end_model import FeatureModel, LinearModel
from operators.features import FeatureSpec
from operators.mlp import MlpModel
from operators.ngrams import NUM_LOOKS

onnxruntime = pytest.importorskip("onnxruntime")

TEXTS = ["good film", "a much longer text: WIN 500000 pounds at www.example.com, now!!", None, ""]


def _model(kind: type[FeatureModel], features: FeatureSpec, d: int) -> FeatureModel:
    rng = np.random.default_rng(0)
    given = {"features": features, "class_names": ("a", "b", "c"), "temperature": 0.7}
    given |= {"scales": rng.uniform(1, 3, d).astype(np.float32), "bias": rng.normal(size=3).astype(np.float32)}
    if kind is LinearModel:
        return LinearModel(weight=rng.normal(size=(d, 3)).astype(np.float32), **given)
    used = np.arange(0, d, 2)
    return MlpModel(
        used=used,
        first=rng.normal(size=(len(used), 4)).astype(np.float32),
        first_bias=rng.normal(size=4).astype(np.float32),
        weight=rng.normal(size=(4, 3)).astype(np.float32),
        **given,
    )


@pytest.mark.parametrize("kind", [LinearModel, MlpModel])
def test_texts_get_the_same_probabilities(tmp_path: Path, kind: type[FeatureModel]) -> None:
    """ONNX Runtime over hashed n-grams agrees with predict_proba, for texts of any length and for none."""
    _model(kind, FeatureSpec(num_features_log2=10), 2**10 + NUM_LOOKS).save(tmp_path)
    model = EndModel.load(tmp_path)
    model.to_onnx(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for texts in (TEXTS, TEXTS[2:], ["x"]):
        (found,) = session.run(None, model.onnx_inputs(texts))
        assert np.allclose(found, model.predict_proba(texts), atol=1e-5)
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["class_names"]) == ["a", "b", "c"]


@pytest.mark.parametrize("kind", [LinearModel, MlpModel])
def test_embeddings_go_in_as_they_are(tmp_path: Path, kind: type[FeatureModel]) -> None:
    """A model of embeddings takes them dense, of any length, and zeros for a row without one."""
    import scipy.sparse as sp

    model = _model(kind, FeatureSpec(kind="embedding", width=16), 16)
    EndModel(model).to_onnx(tmp_path / "model.onnx")
    rows = np.random.default_rng(1).normal(size=(5, 16)).astype(np.float32)
    rows[2] = 0
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"embedding": rows})
    assert np.allclose(found, model.probabilities(sp.csr_matrix(rows)), atol=1e-5)


def test_records_go_in_as_hashed_features(tmp_path: Path) -> None:
    """A model of columns has the inputs of hashed n-grams, made from dicts."""
    spec = FeatureSpec(kind="columns", columns=("a", "b"), num_features_log2=8)
    model = EndModel(_model(LinearModel, spec, 2**8))
    model.to_onnx(tmp_path / "model.onnx")
    rows = [{"a": 3, "b": "two words"}, {"a": None, "b": "x"}, None]
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, model.onnx_inputs(rows))
    assert np.allclose(found, model.predict_proba(rows), atol=1e-5)


def test_a_graph_that_differs_is_not_written(tmp_path: Path) -> None:
    """The check has teeth: a model whose own prediction is another is refused, and no file is left."""

    class Other(LinearModel):
        def probabilities(self, features):  # type: ignore[no-untyped-def]
            return super().probabilities(features)[:, ::-1]

    given = _model(LinearModel, FeatureSpec(num_features_log2=10), 2**10 + NUM_LOOKS)
    assert isinstance(given, LinearModel)
    other = Other(
        features=given.features,
        class_names=given.class_names,
        scales=given.scales,
        weight=given.weight,
        bias=given.bias,
    )
    with pytest.raises(EngineError, match="differs from the model"):
        EndModel(other).to_onnx(tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_hidden_layer_is_held_against_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch says with the same weights counts too: a network that computes otherwise is noticed."""
    from engine.distillation.networks import Mlp

    model = EndModel(_model(MlpModel, FeatureSpec(num_features_log2=10), 2**10 + NUM_LOOKS))
    forward = Mlp.forward
    monkeypatch.setattr(Mlp, "forward", lambda self, features: 2 * forward(self, features))
    with pytest.raises(EngineError, match="differs from the model"):
        model.to_onnx(tmp_path / "model.onnx")


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    """`alchemist onnx MODEL --out FILE` writes what EndModel.to_onnx does, and makes the folder for it."""
    out = tmp_path / "new" / "m.onnx"
    _model(LinearModel, FeatureSpec(num_features_log2=10), 2**10 + NUM_LOOKS).save(tmp_path)
    done = CliRunner().invoke(app, ["onnx", "-v", str(tmp_path), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output) == {"out": str(out)}
    assert out.is_file()
