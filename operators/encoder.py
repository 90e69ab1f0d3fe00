"""A frozen transformers encoder: texts to embeddings, the mean over tokens."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from operators.errors import InputError
from operators.fine_tuned import has_bfloat16
from operators.tokens import positions_of
from operators.torchvision_ops import ensure_torchvision

_BATCH = 32
_MAX_TOKENS = 256
"""Attention grows with the square of the length, and the first 200 words say what a text is about."""


class Encoder:
    """An encoder from a local folder or the hub.

    Attributes:
        num_features: length of an embedding.
    """

    def __init__(self, name: str) -> None:
        """Load the encoder.

        Raises:
            InputError: there is no encoder of this name, neither as a folder nor on the hub.
        """
        ensure_torchvision()
        from transformers import AutoModel, AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name)
            # A checkpoint in half precision too: on a CPU it would be slow, and its mean over tokens rounded.
            self._model: Any = AutoModel.from_pretrained(name, dtype=torch.float32).eval()
        except (OSError, ValueError) as error:
            raise InputError(
                f"encoder {name!r} cannot be loaded; name a folder with a transformers model and its tokenizer, "
                f"or a model of the hub: {error}"
            ) from error
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.to(self._device)
        self._half = has_bfloat16(self._device)
        self._max_tokens = min(_MAX_TOKENS, positions_of(self._model) or _MAX_TOKENS)
        self.num_features = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed n texts; (n, num_features)."""
        # By length, so that a batch holds little padding; each embedding goes to its text's place.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        out = np.zeros((len(texts), self.num_features), dtype=np.float32)
        for start in range(0, len(order), _BATCH):
            places = order[start : start + _BATCH]
            out[places] = self._encode([texts[i] for i in places])
        return out

    def _encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            with torch.autocast(self._device.type, dtype=torch.bfloat16) if self._half else nullcontext():
                hidden = self._model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1).float()
            mean = (hidden.float() * mask).sum(1) / mask.sum(1).clamp(min=1)
        return np.asarray(mean.cpu().numpy())
