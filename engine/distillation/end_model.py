"""The distilled model as a user loads it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from operators.end_model import LinearModel
from operators.featurizer import RowFeaturizer
from operators.images import UnreadableRow, load
from operators.predict_images import check_width
from operators.schema import Floats

Row = str | bytes | Path | None
"""A text, or None for a text without words; of a model for images the path or URL of one, or its encoded bytes."""


class EndModel:
    """A distilled model from a run's `model` folder.

    Example:
        >>> EndModel.load("runs/comments/model").predict(["free prizes"])  # doctest: +SKIP
        array([1], dtype=int8)
        >>> EndModel.load("runs/birds/model").predict(["heron.jpg", "finch.jpg"])  # doctest: +SKIP
        array([1, 0], dtype=int8)
    """

    def __init__(self, model: LinearModel) -> None:
        self._model = model

    @classmethod
    def load(cls, folder: str | Path) -> EndModel:
        """Read a model folder.

        Raises:
            InputError: there is no distilled model in `folder`, or it cannot be read.
        """
        return cls(LinearModel.load(folder))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the k classes, in the order of their indices."""
        return self._model.class_names

    def predict_proba(self, rows: Sequence[Row]) -> Floats:
        """Return the probability of each class; (n, k), rows sum to 1.

        Args:
            rows: texts, or images by path, URL or encoded bytes; a relative path starts from the working directory.

        Raises:
            UnreadableRow: an image cannot be read; the message names it.
            InputError: what embeds images cannot be made.
        """
        if isinstance(rows, str | bytes):
            raise TypeError("predict takes a list of rows, got one; write predict([row])")
        if self._model.embedded_by is None:
            return self._model.predict_proba([_text(row) for row in rows])
        prepared = [self._prepared(number, row) for number, row in enumerate(rows)]
        if not prepared:
            return np.zeros((0, len(self.class_names)))
        return self._model.predict_embeddings(self._featurizer.embed(prepared))

    def predict(self, rows: Sequence[Row]) -> npt.NDArray[np.int8]:
        """Return the most probable class of each row; (n,), 0..k-1."""
        return np.asarray(self.predict_proba(rows).argmax(axis=1), dtype=np.int8)

    @cached_property
    def _featurizer(self) -> RowFeaturizer:
        spec = self._model.embedded_by
        assert spec is not None  # asked for by images alone
        made = spec.make()
        check_width(self._model, made.num_features, spec)
        return made

    def _prepared(self, number: int, row: Row) -> object:
        try:
            data = load(row, None, beside="") if isinstance(row, bytes) else load(None, str(row or ""), beside="")
            return self._featurizer.prepare(data)
        except UnreadableRow as error:
            name = f"image {number}" if isinstance(row, bytes | None) else str(row)
            raise UnreadableRow(f"{name}: {error}") from None


def _text(row: Row) -> str | None:
    if row is None or isinstance(row, str):
        return row
    raise TypeError(f"this model reads texts, got {type(row).__name__}")
