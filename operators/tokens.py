"""Texts as rows of token ids, which is what an encoder that is fine-tuned learns from.

They stand in a sparse matrix like other features, so that shards, training rows and workers need to know nothing of
them. Its entries keep their order and may repeat: nothing may sort them or add them up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.errors import InputError
from operators.torchvision_ops import ensure_torchvision

Sparse = Any


class Tokens:
    """The tokenizer of an encoder.

    Attributes:
        num_features: size of its vocabulary.
        tokenizer: of transformers.
    """

    def __init__(self, encoder: str, *, max_tokens: int) -> None:
        """Load the tokenizer.

        Raises:
            InputError: there is no tokenizer of this name, neither in a folder nor on the hub.
        """
        ensure_torchvision()
        from transformers import AutoTokenizer

        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(encoder)
        except (OSError, ValueError) as error:
            raise InputError(
                f"the tokenizer of encoder {encoder!r} cannot be loaded; name a folder with a transformers model and "
                f"its tokenizer, or a model of the hub: {error}"
            ) from error
        self.num_features = len(self.tokenizer)
        self._max_tokens = max_tokens

    def transform(self, texts: Sequence[str]) -> Sparse:
        """Tokenize texts, cut at the longest that is allowed.

        Returns:
            (n, vocabulary) float32 CSR matrix; the `indices` of a row are its tokens, in their order.
        """
        import scipy.sparse as sp

        rows = self.tokenizer(list(texts), truncation=True, max_length=self._max_tokens)["input_ids"]
        offsets = np.cumsum([0, *map(len, rows)])
        indices = np.fromiter((token for row in rows for token in row), np.int32, int(offsets[-1]))
        ones = np.ones(len(indices), np.float32)
        return sp.csr_matrix((ones, indices, offsets), shape=(len(rows), self.num_features))


def padded(tokens: Sparse, *, pad: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the tokens of n rows, filled up to the longest, and the attention mask; (n, length) each."""
    lengths = np.diff(tokens.indptr)
    longest = max(1, int(lengths.max(initial=0)))
    filled = np.arange(longest) < lengths[:, None]
    ids = np.full((len(lengths), longest), pad, np.int64)
    ids[filled] = tokens.indices
    # Attention over nothing at all is undefined, so that a row without tokens looks at one pad.
    filled[:, 0] = True
    return ids, filled.astype(np.int64)
