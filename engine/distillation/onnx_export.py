"""A distilled model as an ONNX graph, for runtimes without Python.

What goes in are features, since hashing words and running a frozen encoder are no part of the model: `indices` and
`values` of n-grams, one row a text, filled up with zeros to the longest; or `embedding`; or, where the encoder itself
was trained, its tokens. All that is learned is inside: the weights of features, the length of the row, the layers, the
temperature. So what comes out are the probabilities that `EndModel.predict_proba` gives.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engine.errors import ConfigError, EngineError
from operators.end_model import FeatureModel, LinearModel
from operators.features import Sparse, weighted
from operators.mlp import MlpModel
from operators.models import TextModel

if TYPE_CHECKING:
    from operators.fine_tuned import FineTunedModel

_OPSET = 17
"""Of 2022; every operator that is used here is older, and runtimes of years ago read it."""

_IR_VERSION = 8
_CHECKED = ("a text", "another text, of 12 words! see https://example.org for 3 more", "")
_HASHED = ("hashed_ngrams", "columns")
"""Kinds of features that are places in a long row, few of them filled."""

_TOLERANCE = 1e-4

_Check = tuple[dict[str, npt.NDArray[Any]], npt.NDArray[Any]]
"""Inputs, and the probabilities that are expected for them."""


def write_onnx(model: TextModel, path: Path) -> None:
    """Write a model as an ONNX graph, and check it with ONNX Runtime against what made the model: NumPy, or torch.

    Raises:
        ConfigError: the extra `onnx` is not installed, or a fine-tuned encoder cannot be written there.
        EngineError: the graph predicts something else than the model; nothing is left at `path`.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is missing; install it with: pip install 'alchemist-labeling[onnx]'"
        ) from error
    made, checks = _of_features(model) if isinstance(model, FeatureModel) else _of_encoder(model)
    told = {"class_names": list(model.class_names), "features": model.features.to_json()}
    onnx.helper.set_model_props(made, {key: json.dumps(value) for key, value in told.items()})
    onnx.checker.check_model(made, full_check=True)
    content = made.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    gap = max(float(np.abs(session.run(["probabilities"], given)[0] - expected).max()) for given, expected in checks)
    if not gap < _TOLERANCE:
        raise EngineError(
            f"the ONNX graph of {path} differs from the model by {gap:.2g}, more than {_TOLERANCE:g}; "
            f"this is a fault of alchemist or of onnxruntime {onnxruntime.__version__}: please report it"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(model, FeatureModel):
        from engine.distillation.onnx_encoder import put_tokenizer

        put_tokenizer(_tuned(model), path.parent)
    path.write_bytes(content)


def onnx_inputs(model: TextModel, texts: Sequence[str | None]) -> dict[str, npt.NDArray[Any]]:
    """Return what the graph of a model takes for these texts, by the name of the input."""
    if isinstance(model, FeatureModel):
        return _inputs(model, model.featurizer.transform(texts))
    from engine.distillation.onnx_encoder import encoder_inputs

    return dict(encoder_inputs(_tuned(model), texts))


def _tuned(model: TextModel) -> FineTunedModel:
    from operators.fine_tuned import FineTunedModel

    if isinstance(model, FineTunedModel):
        return model
    raise TypeError(f"no graph is known for a model of {type(model).__name__}")


def _of_features(model: FeatureModel) -> tuple[Any, list[_Check]]:
    features = _some(model)
    expected = [model.probabilities(features)]
    if isinstance(model, MlpModel):
        expected.append(_by_torch(model, features))
    return _graph(model), [(_inputs(model, features), found) for found in expected]


def _of_encoder(model: TextModel) -> tuple[Any, list[_Check]]:
    # Imported here: torch and transformers take seconds, and the other kinds need neither.
    from engine.distillation.onnx_encoder import Probabilities, encoder_graph, encoder_inputs, expected_of

    tuned = _tuned(model)
    by_torch = Probabilities(tuned)
    # One row, and more rows and longer ones than are traced: what was taken for fixed shows there.
    several = [encoder_inputs(tuned, texts) for texts in (_CHECKED[:2], _CHECKED[:1], [*_CHECKED, 9 * _CHECKED[1]])]
    made = encoder_graph(by_torch, several[0], opset=_OPSET)
    return made, list(zip(several, expected_of(by_torch, several), strict=True))


def _by_torch(model: MlpModel, features: Sparse) -> npt.NDArray[Any]:
    """Return the probabilities of the network that was trained, with the weights that were kept of it; (n, k)."""
    import torch

    from engine.distillation.networks import Mlp

    network = Mlp(len(model.used), hidden=len(model.first_bias), num_classes=len(model.class_names)).eval()
    names = ("first", "first_bias", "weight", "bias")
    network.load_state_dict({name: torch.from_numpy(np.array(getattr(model, name))) for name in names})
    with torch.inference_mode():
        scores = network(weighted(features, model.scales)[:, model.used])
        return np.asarray(torch.softmax(scores / model.temperature, dim=-1).numpy())


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
    return helper.make_model(whole, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="alchemist")


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
