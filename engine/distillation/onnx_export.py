"""A distilled model as an ONNX graph, for runtimes without Python.

What goes in are features, since hashing words and running an encoder are no part of the model: `indices` and `values`
of n-grams, one row a text, filled up with zeros to the longest; or `embedding`. All that is learned is inside: the
weights of features, the length of the row, the layers, the temperature. So what comes out are the probabilities that
`EndModel.predict_proba` gives.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import ConfigError, EngineError
from operators.end_model import FeatureModel, LinearModel
from operators.features import Sparse
from operators.mlp import MlpModel
from operators.models import TextModel

_OPSET = 17
"""Of 2022; every operator that is used here is older, and runtimes of years ago read it."""

_IR_VERSION = 8
_CHECKED = ("a text", "another text, of 12 words! see https://example.org for 3 more", "")
_HASHED = ("hashed_ngrams", "columns")
"""Kinds of features that are places in a long row, few of them filled."""

_TOLERANCE = 1e-4


def write_onnx(model: TextModel, path: Path) -> None:
    """Write a model as an ONNX graph, and check it with ONNX Runtime against the model's own predictions.

    Raises:
        ConfigError: the extra `onnx` is not installed, or the model is a fine-tuned encoder.
        EngineError: the graph predicts something else than the model; nothing is left at `path`.
    """
    kept = _feature_model(model)
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is missing; install it with: pip install 'alchemist-labeling[onnx]'"
        ) from error
    made = _graph(kept)
    onnx.checker.check_model(made, full_check=True)
    content = made.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    features = _some(kept)
    (found,) = session.run(["probabilities"], _inputs(kept, features))
    gap = float(np.abs(found - kept.probabilities(features)).max())
    if not gap < _TOLERANCE:
        raise EngineError(
            f"the ONNX graph of {path} differs from the model by {gap:.2g}, more than {_TOLERANCE:g}; "
            f"this is a fault of alchemist or of onnxruntime {onnxruntime.__version__}: please report it"
        )
    path.write_bytes(content)


def onnx_inputs(model: TextModel, texts: Sequence[str | None]) -> dict[str, npt.NDArray[Any]]:
    """Return what the graph of a model takes for these texts, by the name of the input.

    Raises:
        ConfigError: the model is a fine-tuned encoder.
    """
    kept = _feature_model(model)
    return _inputs(kept, kept.featurizer.transform(texts))


def _feature_model(model: TextModel) -> FeatureModel:
    if isinstance(model, FeatureModel):
        return model
    raise ConfigError(
        "a fine-tuned encoder is a transformers folder, which the exporter of transformers reads: "
        "pip install 'optimum[onnx]', then: optimum-cli export onnx --model MODEL OUT"
    )


def _inputs(model: FeatureModel, features: Sparse) -> dict[str, npt.NDArray[Any]]:
    if model.features.kind not in _HASHED:
        return {"embedding": features.toarray()}
    lengths = np.diff(features.indptr)
    # One place at least: some runtimes refuse an axis of no length.
    shape = (features.shape[0], max(1, int(lengths.max(initial=0))))
    indices, values = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    filled = np.arange(shape[1]) < lengths[:, None]
    indices[filled], values[filled] = features.indices, features.data
    return {"indices": indices, "values": values}


def _some(model: FeatureModel) -> Sparse:
    """Make features of a few rows to check with."""
    import scipy.sparse as sp

    if model.features.kind in ("hashed_ngrams", "encoder"):
        return model.featurizer.transform(_CHECKED)
    if model.features.kind == "columns":
        names = model.features.columns
        rows = [dict.fromkeys(names, value) for value in (3, "two words", None)]
        return model.featurizer.transform([json.dumps(row) for row in rows])
    drawn = np.random.default_rng(0).normal(size=(3, len(model.scales))).astype(np.float32)
    drawn[-1] = 0
    return sp.csr_matrix(drawn)


def _graph(model: FeatureModel) -> Any:
    from onnx import TensorProto, helper

    k = len(model.class_names)
    graph = _Graph()
    row = graph.sparse_row(model) if model.features.kind in _HASHED else graph.dense_row(model)
    if isinstance(model, MlpModel):
        first = graph.through(row, _whole(model))
        hidden = graph.node("Relu", graph.node("Add", first, graph.constant("first_bias", model.first_bias)))
        scores = graph.node("MatMul", hidden, graph.constant("weight", model.weight))
    elif isinstance(model, LinearModel):
        scores = graph.through(row, model.weight)
    else:
        raise TypeError(f"no graph is known for a model of kind {model.kind!r}")
    scores = graph.node("Add", scores, graph.constant("bias", model.bias))
    scores = graph.node("Div", scores, graph.constant("temperature", np.float32(model.temperature)))
    graph.nodes.append(helper.make_node("Softmax", [scores], ["probabilities"], axis=-1))
    if model.features.kind in _HASHED:
        inputs = [
            helper.make_tensor_value_info("indices", TensorProto.INT64, ["rows", "features"]),
            helper.make_tensor_value_info("values", TensorProto.FLOAT, ["rows", "features"]),
        ]
    else:
        inputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["rows", len(model.scales)])]
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", k])
    whole = helper.make_graph(graph.nodes, "distilled_model", inputs, [output], initializer=graph.constants)
    opset = helper.make_opsetid("", _OPSET)
    made = helper.make_model(whole, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="alchemist")
    told = {"class_names": list(model.class_names), "features": model.features.to_json()}
    helper.set_model_props(made, {key: json.dumps(value) for key, value in told.items()})
    return made


class _Graph:
    """Nodes and constants so far; methods add a node and return the name of what it gives."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._through_indices = False

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def dense_row(self, model: FeatureModel) -> str:
        return self._unit("embedding", self.constant("scales", model.scales))

    def sparse_row(self, model: FeatureModel) -> str:
        self._through_indices = True
        return self._unit("values", self.node("Gather", self.constant("scales", model.scales), "indices", axis=0))

    def through(self, row: str, weight: npt.NDArray[np.float32]) -> str:
        """Multiply rows by a (d, h) matrix; only the rows of it that features point to are touched."""
        matrix = self.constant("matrix", weight)
        if not self._through_indices:
            return self.node("MatMul", row, matrix)
        one = self.constant("axis_1", np.array([1], np.int64))
        chosen = self.node("Gather", matrix, "indices", axis=0)
        product = self.node("MatMul", self.node("Unsqueeze", row, one), chosen)
        return self.node("Squeeze", product, one)

    def _unit(self, values: str, scales: str) -> str:
        """Weigh features and bring the row to length 1; a row of zeros stays."""
        weighed = self.node("Mul", values, scales)
        length = self.node("ReduceL2", weighed, axes=[1], keepdims=1)
        return self.node("Div", weighed, self.node("Max", length, self.constant("least", np.float32(1e-20))))


def _whole(model: MlpModel) -> npt.NDArray[np.float32]:
    whole = np.zeros((len(model.scales), model.first.shape[1]), np.float32)
    whole[model.used] = model.first
    return whole
