"""Features for the distilled model: hashed n-grams, embeddings, tokens, or columns of a table.

Hashing needs no vocabulary, so that shards are featurized apart and a text gets the same features in any process.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from operators.columns import Columns
from operators.errors import InputError
from operators.ngrams import Ngrams
from operators.schema import Counts

Sparse = Any
"""A scipy.sparse.csr_matrix; scipy has no types of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """How a text becomes features.

    Attributes:
        kind: words and their sequences hashed into buckets, an encoder's embedding, an embedding that was made
            before and stands in the place of the text (float16 as base64), the tokens of an encoder, or columns of a
            table, whose rows stand in the place of the text as JSON.
        encoder: folder or hub name of the encoder, for an embedding or tokens.
        num_features_log2: 2 to this many buckets.
        max_ngram: longest sequence of words.
        width: of embeddings that were made before; None for the other kinds.
        max_char_ngram: longest sequence of characters within a word, 0 for none.
        char_window: characters of a text whose sequences are looked at, from its beginning.
        max_tokens: where a text is cut, for kind tokens; None for the other kinds.
        columns: of the table, for kind columns; what reads a corpus asks for them.
    """

    kind: Literal["hashed_ngrams", "encoder", "embedding", "tokens", "columns"] = "hashed_ngrams"
    encoder: str | None = None
    num_features_log2: int = 18
    max_ngram: int = 2
    width: int | None = None
    max_char_ngram: int = 0
    char_window: int = 2048
    max_tokens: int | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind == "embedding") != (self.width is not None):
            raise ValueError(f"a width goes with kind 'embedding' alone, got {self.kind!r} and {self.width!r}")
        if (self.kind in ("encoder", "tokens")) != (self.encoder is not None):
            raise ValueError(
                f"an encoder is named for kinds 'encoder' and 'tokens' alone, got {self.kind!r} and {self.encoder!r}"
            )
        if (self.kind == "tokens") != (self.max_tokens is not None):
            raise ValueError(f"max_tokens goes with kind 'tokens' alone, got {self.kind!r} and {self.max_tokens!r}")
        if (self.kind == "columns") != bool(self.columns):
            raise ValueError(f"columns are named for kind 'columns' alone, got {self.kind!r} and {self.columns!r}")

    def to_json(self) -> dict[str, Any]:
        """Write as JSON values; what belongs to one kind alone where there is one."""
        own = {"width": self.width, "max_tokens": self.max_tokens, "columns": list(self.columns) or None}
        return {name: value for name, value in (asdict(self) | own).items() if name not in own or value is not None}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> FeatureSpec:
        """Read what `to_json` made of one."""
        # Models from before the window was written down looked at 256 characters.
        told: dict[str, Any] = {"char_window": 256, **content, "columns": tuple(content.get("columns", ()))}
        return cls(**told)


class Featurizer:
    """Turns texts into rows of features, each of length 1 (or 0 where a text has no words); tokens stay as they are.

    Attributes:
        num_features: d.
        spec: as told, but for `max_tokens` where the encoder takes fewer.

    Example:
        >>> Featurizer(FeatureSpec(num_features_log2=10)).transform(["good film", None]).shape
        (2, 1152)
    """

    def __init__(self, spec: FeatureSpec) -> None:
        """Load what the features need.

        Raises:
            InputError: the encoder cannot be loaded.
        """
        self.spec = spec
        self._transform: Callable[[Sequence[str]], Sparse]
        self._are_tokens = spec.max_tokens is not None
        if spec.encoder is not None and spec.max_tokens is not None:
            from operators.tokens import Tokens

            tokens = Tokens(spec.encoder, max_tokens=spec.max_tokens)
            self.num_features = tokens.num_features
            self.spec = replace(spec, max_tokens=tokens.max_tokens)
            self._transform = tokens.transform
        elif spec.encoder is not None:
            # Imported here: torch and transformers take seconds, and n-grams need neither.
            from operators.encoder import Encoder

            encoder = Encoder(spec.encoder)
            self.num_features = encoder.num_features
            # As they are kept by a run, so that a text gets the same features from both.
            self._transform = lambda texts: sp.csr_matrix(halved(encoder.encode(texts)).astype(np.float32))
        elif spec.columns:
            columns = Columns(num_buckets=2**spec.num_features_log2)
            self.num_features = columns.num_features
            self._transform = columns.transform
        elif spec.width is not None:
            self.num_features = spec.width
            self._transform = lambda rows: sp.csr_matrix(_embeddings(rows, self.num_features))
        else:
            ngrams = Ngrams(
                num_buckets=2**spec.num_features_log2,
                max_ngram=spec.max_ngram,
                max_char_ngram=spec.max_char_ngram,
                char_window=spec.char_window,
            )
            self.num_features = ngrams.num_features
            self._transform = ngrams.transform

    def transform(self, texts: Sequence[str | None]) -> Sparse:
        """Featurize texts.

        Args:
            texts: n texts; a null is a text without words.

        Returns:
            (n, d) float32 CSR matrix.
        """
        if not texts:
            return sp.csr_matrix((0, self.num_features), dtype=np.float32)
        found = self._transform([text or "" for text in texts])
        return found if self._are_tokens else unit_rows(found)


def document_frequencies(features: Sparse) -> Counts:
    """Count the rows in which each feature occurs; (d,), adds up over blocks."""
    return np.bincount(features.indices, minlength=features.shape[1]).astype(np.int64)


def weighted(features: Sparse, weights: npt.NDArray[Any]) -> Sparse:
    """Multiply the columns of (n, d) features by (d,) weights and bring the rows back to length 1."""
    scaled = features.copy()
    scaled.data = features.data * weights.astype(np.float32)[features.indices]
    return unit_rows(scaled)


def halved(embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Bring (n, d) embeddings to length 1 and to half precision, as they are kept; rows of zeros stay.

    To length 1 first: half precision ends at 65,504, and some encoders have single numbers of thousands.
    """
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.where(lengths == 0, 1, lengths), np.float16)


def features_of(embeddings: npt.NDArray[Any]) -> Sparse:
    """Return the features that (n, d) embeddings are, as `Featurizer.transform` gives them."""
    return unit_rows(sp.csr_matrix(embeddings.astype(np.float32)))


def unit_rows(features: Sparse) -> Sparse:
    """Bring the rows of a CSR matrix to length 1, in place; rows of zeros stay."""
    rows = np.repeat(np.arange(features.shape[0]), np.diff(features.indptr))
    lengths = np.sqrt(np.bincount(rows, np.square(features.data, dtype=np.float64), minlength=features.shape[0]))
    # A length of 0 belongs to a row whose stored values, if any, are zeros.
    lengths[lengths == 0] = 1.0
    features.data = (features.data / lengths[rows]).astype(np.float32)
    return features


def _embeddings(rows: Sequence[str], width: int) -> npt.NDArray[np.float32]:
    """Read embeddings from their texts; zeros for a row without one.

    Raises:
        InputError: a text is no embedding of this width.
    """
    out = np.zeros((len(rows), width), np.float32)
    for place, row in enumerate(rows):
        if not row:
            continue
        try:
            out[place] = np.frombuffer(b64decode(row, validate=True), np.float16)
        except ValueError as error:
            raise InputError(
                f"row {place} is no embedding of {width} numbers ({error}); this model was distilled from embeddings: "
                "give it the files in `scored/` of a run, with `embedding` as the column of the text"
            ) from error
    return out
