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

_POSITIONS = ("position_embeddings", "embed_positions", "wpe")
"""What models of transformers call their table of learned positions."""


class Tokens:
    """The tokenizer of an encoder.

    Attributes:
        num_features: size of its vocabulary.
        tokenizer: of transformers.
        max_tokens: where a text is cut: as told, or before that where the encoder takes no more.
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
        self.max_tokens = min(max_tokens, most_tokens(encoder) or max_tokens)

    def transform(self, texts: Sequence[str]) -> Sparse:
        """Tokenize texts, cut at the longest that is allowed.

        Returns:
            (n, vocabulary) float32 CSR matrix; the `indices` of a row are its tokens, in their order.
        """
        import scipy.sparse as sp

        rows = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
        offsets = np.cumsum([0, *map(len, rows)])
        indices = np.fromiter((token for row in rows for token in row), np.int32, int(offsets[-1]))
        ones = np.ones(len(indices), np.float32)
        return sp.csr_matrix((ones, indices, offsets), shape=(len(rows), self.num_features))


def most_tokens(encoder: str) -> int | None:
    """Say how many tokens an encoder takes at once, special ones included; None where it has no limit.

    Raises:
        InputError: there is no encoder of this name, or transformers cannot make it.
    """
    ensure_torchvision()
    import torch
    from transformers import AutoConfig, AutoModel

    try:
        # Without weights: only the shapes of its tables are looked at.
        with torch.device("meta"):
            return positions_of(AutoModel.from_config(AutoConfig.from_pretrained(encoder)))
    except (OSError, ValueError) as error:
        raise InputError(
            f"encoder {encoder!r} cannot be loaded; name a folder with a transformers model and its tokenizer, or a "
            f"model of the hub: {error}"
        ) from error


def positions_of(model: Any) -> int | None:
    """Say how many places a transformers model has for tokens; None where it counts distances instead.

    RoBERTa and its kin number places from behind that of padding, and so take fewer tokens than their table has rows.
    """
    tables = [m for name, m in model.named_modules() if name.rpartition(".")[2] in _POSITIONS]
    found = [
        table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
        for table in tables
        if hasattr(table, "num_embeddings")
    ]
    told = getattr(model.config, "max_position_embeddings", None)
    return min([*found, *([told] if told else [])]) if found else None


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
