"""The distilled model as a user loads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.models import TextModel, load_model
from operators.schema import Floats

Row = str | Mapping[str, Any] | None
"""A text, or a record where the model was distilled from columns; None is an empty one."""


class EndModel:
    """A distilled model from a run's `model` folder.

    Example:
        >>> EndModel.load("runs/comments/model").predict(["free prizes"])  # doctest: +SKIP
        array([1], dtype=int8)
    """

    def __init__(self, model: TextModel) -> None:
        self._model = model

    @classmethod
    def load(cls, folder: str | Path) -> EndModel:
        """Read a model folder.

        Raises:
            InputError: there is no distilled model in `folder`, or it cannot be read.
        """
        return cls(load_model(str(folder)))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the k classes, in the order of their indices."""
        return self._model.class_names

    def predict_proba(self, texts: Sequence[Row]) -> Floats:
        """Return the probability of each class; (n, k), rows sum to 1."""
        return self._model.predict_proba(_checked(texts))

    def predict(self, texts: Sequence[Row]) -> npt.NDArray[np.int8]:
        """Return the most probable class of each text; (n,), 0..k-1."""
        return np.asarray(self.predict_proba(texts).argmax(axis=1), dtype=np.int8)

    def to_onnx(self, path: str | Path) -> None:
        """Write the model as an ONNX graph from features to probabilities, checked with ONNX Runtime.

        Hashed n-grams go in as `indices` (int64) and `values` (float32), (rows, features) each, filled up with zeros;
        other features as `embedding`, float32. `onnx_inputs` makes them from texts.

        Raises:
            ConfigError: the extra `onnx` is not installed, or the model is a fine-tuned encoder.
        """
        from engine.distillation.onnx_export import write_onnx

        write_onnx(self._model, Path(path))

    def onnx_inputs(self, texts: Sequence[Row]) -> dict[str, npt.NDArray[Any]]:
        """Return what the ONNX graph takes for these texts, by the name of the input."""
        from engine.distillation.onnx_export import onnx_inputs

        return onnx_inputs(self._model, _checked(texts))


def _checked(texts: Sequence[Row]) -> Sequence[str | None]:
    if isinstance(texts, str):
        raise TypeError("predict takes a list of texts, got one text; write predict([text])")
    return [json.dumps(dict(row), ensure_ascii=False) if isinstance(row, Mapping) else row for row in texts]
