"""The distilled model as a user loads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from operators.end_model import LinearModel
from operators.schema import Floats


class EndModel:
    """A distilled model from a run's `model` folder.

    Example:
        >>> EndModel.load("runs/comments/model").predict(["free prizes"])  # doctest: +SKIP
        array([1], dtype=int8)
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

    def predict_proba(self, texts: Sequence[str | None]) -> Floats:
        """Return the probability of each class; (n, k), rows sum to 1."""
        return self._model.predict_proba(_checked(texts))

    def predict(self, texts: Sequence[str | None]) -> npt.NDArray[np.int8]:
        """Return the most probable class of each text; (n,), 0..k-1."""
        return np.asarray(self.predict_proba(texts).argmax(axis=1), dtype=np.int8)


def _checked(texts: Sequence[str | None]) -> Sequence[str | None]:
    if isinstance(texts, str):
        raise TypeError("predict takes a list of texts, got one text; write predict([text])")
    return texts
