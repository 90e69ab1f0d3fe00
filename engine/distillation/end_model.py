"""The distilled model as a user loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.corpus.records import Fields, as_record
from operators.end_model import FeatureModel, as_kept, fields_of
from operators.featurizer import RowFeaturizer
from operators.fetch import load
from operators.images import UnreadableRow
from operators.models import TextModel, load_model
from operators.predict_images import check_width
from operators.schema import Floats

Row = str | bytes | Path | Mapping[str, Any] | None
"""A text, or None for a text without words; {column: value} where the model was distilled from records; of a model for
images the path or URL of one, or its encoded bytes."""


class EndModel:
    """A distilled model from a run's `model` folder.

    Example:
        >>> EndModel.load("runs/comments/model").predict(["free prizes"])  # doctest: +SKIP
        array([1], dtype=int8)
        >>> EndModel.load("runs/loans/model").predict([{"income": 2500, "job": "nurse"}])  # doctest: +SKIP
        array([0], dtype=int8)
        >>> EndModel.load("runs/birds/model").predict(["heron.jpg", "finch.jpg"])  # doctest: +SKIP
        array([1, 0], dtype=int8)
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

    def predict_proba(self, rows: Sequence[Row]) -> Floats:
        """Return the probability of each class; (n, k), rows sum to 1.

        Args:
            rows: texts; records as {column: value}, with the columns that the model was distilled from, others are
                passed over; or images by path, URL or encoded bytes, a relative path from the working directory.

        Raises:
            TypeError: a row is not what the model reads; the message says what to give.
            InputError: a record lacks a column, or a value of it is neither text, number, truth value nor date.
            UnreadableRow: an image cannot be read; the message names it.
            UnreachableRow: it could not be reached this time.
            InputError: what embeds images cannot be made, or what fetches them is not there.
        """
        if self._of_images is None:
            return self._model.predict_proba(self._texts(rows))
        return self._of_images.predict_embeddings(self._embeddings(rows))

    def predict(self, rows: Sequence[Row]) -> npt.NDArray[np.int8]:
        """Return the most probable class of each row; (n,), 0..k-1."""
        return np.asarray(self.predict_proba(rows).argmax(axis=1), dtype=np.int8)

    @property
    def _of_images(self) -> FeatureModel | None:
        model = self._model
        return model if isinstance(model, FeatureModel) and model.embedded_by is not None else None

    def _embeddings(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        prepared = [self._prepared(number, row) for number, row in enumerate(_several(rows))]
        if not prepared:
            return np.zeros((0, self._model.features.width or 0), np.float32)
        return self._featurizer.embed(prepared)

    @cached_property
    def _featurizer(self) -> RowFeaturizer:
        model = self._of_images
        assert model is not None  # asked for by images alone
        spec = model.embedded_by
        assert spec is not None
        made = spec.make()
        check_width(model, made.num_features, spec)
        return made

    def _prepared(self, number: int, row: Row) -> object:
        try:
            data = load(row, None, beside="") if isinstance(row, bytes) else load(None, str(row or ""), beside="")
            return self._featurizer.prepare(data)
        except UnreadableRow as error:
            name = str(row) if isinstance(row, str | Path) else f"image {number}"
            raise type(error)(f"{name}: {error}") from None

    def to_onnx(self, path: str | Path) -> None:
        """Write the model as an ONNX graph to calibrated probabilities, checked with ONNX Runtime.

        Hashed n-grams go in as `indices` (int64) and `values` (float32), (rows, features) each, filled up with zeros;
        the tokens of a fine-tuned encoder as `input_ids` and `attention_mask` (int64), (rows, tokens) each, with the
        files of its tokenizer written beside the graph; other features as `embedding`, float32. `onnx_inputs` makes
        them from rows.

        Raises:
            ConfigError: the extra `onnx` is not installed, the weights are too many for one file, or beside the graph
                stands another tokenizer.
        """
        from engine.distillation.onnx_export import write_onnx

        write_onnx(self._model, Path(path))

    def onnx_inputs(self, rows: Sequence[Row]) -> dict[str, npt.NDArray[Any]]:
        """Return what the ONNX graph takes for these rows, by the name of the input; rows are those of `predict`."""
        from engine.distillation.onnx_export import onnx_inputs

        if self._of_images is not None:
            return {"embedding": as_kept(self._embeddings(rows))}
        return onnx_inputs(self._model, self._texts(rows))

    def _texts(self, rows: Sequence[Row]) -> list[str | None]:
        fields = fields_of(self._model.features, self._model.extra)
        return [_text(row, fields, place=f"row {number}") for number, row in enumerate(_several(rows))]


def _several(rows: Sequence[Row]) -> Sequence[Row]:
    if isinstance(rows, str | bytes | Mapping):
        raise TypeError("predict takes a list of rows, got one; write predict([row])")
    return rows


def _text(row: Row, fields: Fields | None, *, place: str) -> str | None:
    if row is None or isinstance(row, str):
        return row
    if fields is None:
        raise TypeError(f"{place} is a {type(row).__name__}, and this model reads texts: give each text as a str")
    if isinstance(row, Mapping):
        return as_record(row, fields, place=place)
    raise TypeError(
        f"{place} is a {type(row).__name__}, and this model reads records: give a dict with {', '.join(fields.columns)}"
    )
