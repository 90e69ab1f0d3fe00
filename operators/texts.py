"""Texts encoded once, for scores from stored embeddings: workers that score need no model then."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.errors import InputError
from operators.featurizer import FeaturizerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedTexts:
    """What stands in the place of a featurizer where only scores are asked for.

    Attributes:
        use: import path of the featurizer.
        texts: t of them.
        vectors: (t, d) float32; a score is the product of an embedding and one of them.
    """

    use: str
    texts: tuple[str, ...]
    vectors: npt.NDArray[np.float32]

    def make(self) -> EncodedTexts:
        """Return itself, as a `FeaturizerSpec` returns its featurizer."""
        return self

    def scores(self, embeddings: npt.NDArray[np.float32], texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Score n rows by some of the texts; (n, number of these texts)."""
        places = [self.texts.index(text) for text in texts]
        return np.asarray(embeddings @ self.vectors[places].T, np.float32)


class EncodeTexts:
    """Step: encode texts by a featurizer that has `encode_texts`; writes nothing."""

    def __init__(self, *, featurizer: FeaturizerSpec) -> None:
        self._use = featurizer.use
        self._featurizer: Any = featurizer.make()

    def __call__(self, item: str) -> bytes:
        """Encode `item`, a list of texts as JSON; returns their (t, d) float32 as .npy.

        Raises:
            InputError: the featurizer gave no such vectors.
        """
        texts = json.loads(item)
        vectors = np.asarray(self._featurizer.encode_texts(texts), np.float32)
        expected = (len(texts), self._featurizer.num_features)
        if vectors.shape != expected or not np.isfinite(vectors).all():
            raise InputError(
                f"featurizer {self._use} encoded texts as an array of shape {vectors.shape}, expected finite numbers "
                f"of shape {expected}"
            )
        out = io.BytesIO()
        np.save(out, vectors)
        return out.getvalue()


def encoded(spec: FeaturizerSpec, texts: Sequence[str], told: bytes) -> EncodedTexts:
    """Read what `EncodeTexts` returned for these texts."""
    return EncodedTexts(use=spec.use, texts=tuple(texts), vectors=np.load(io.BytesIO(told), allow_pickle=False))
