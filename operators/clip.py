"""CLIP by open_clip: images and descriptions in one space, on a GPU where there is one.

Decoding, resizing and cropping run in threads beside the model and give bytes; they become floats on the device, so
that a quarter of the data travels. An embedding has length 1, so that scores are cosines times the temperature that
the model learned.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from operators.errors import InputError
from operators.images import decode, shape
from operators.torchvision_ops import ensure_torchvision

_GPU_BATCH, _CPU_BATCH = 256, 32
_TEXTS = 256
"""Encoded at a time."""


class OpenClip:
    """A `RowFeaturizer` for images.

    Attributes:
        num_features: d, as the model has it.
        batch_size: images that go through the model at once; halved each time the device runs out of memory.
        device: "cuda" or "cpu".
    """

    scale = (
        "It is the cosine between the image and the description times the temperature that CLIP has learned, most "
        "often between 15 and 35. The scores of one image lie close together: their differences say more than their "
        "height."
    )

    def __init__(
        self, *, model: str = "ViT-B-32", pretrained: str = "", config: str | None = None, batch_size: int | None = None
    ) -> None:
        """Load a model.

        Args:
            model: architecture, by open_clip's name.
            pretrained: tag of its weights, which open_clip downloads, or the path of a checkpoint.
            config: path of a JSON file that describes the architecture, for one that open_clip does not know; named as
                `model`.
            batch_size: to start with; 256 on a GPU and 32 on a CPU unless given.

        Raises:
            InputError: there is no such model, or its weights cannot be had.
        """
        open_clip = _open_clip()
        if not pretrained:
            raise InputError(
                f"CLIP {model} needs weights: give `pretrained`, a tag such as laion2b_s34b_b79k or the path of a "
                "checkpoint; with random ones its scores say nothing"
            )
        if config is not None:
            open_clip.add_model_config(config)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            loaded, _, preprocess = open_clip.create_model_and_transforms(model, pretrained=pretrained)
        except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise InputError(
                f"CLIP {model} with weights {pretrained!r} cannot be loaded: {error}; `model` is an architecture of "
                "open_clip, `pretrained` one of its tags or the path of a checkpoint"
            ) from error
        self._model: Any = loaded.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        *shaping, _to_tensor, normalise = preprocess.transforms
        self._shaping = tuple(shaping)
        self._mean, self._std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in (normalise.mean, normalise.std)
        )
        self._tokenizer: Any = open_clip.get_tokenizer(model)
        self._text_features: dict[tuple[str, ...], npt.NDArray[np.float32]] = {}
        self.batch_size = batch_size or (_GPU_BATCH if self.device == "cuda" else _CPU_BATCH)
        self.num_features = int(self._encode_texts(["a photo"]).shape[1])

    @classmethod
    def identity(cls, *, pretrained: str = "", config: str | None = None, **_options: object) -> str:
        """Name the files behind the paths among the options, so that other weights at the same path are other ones."""
        found = [Path(path).stat() for path in (pretrained, config) if path and Path(path).is_file()]
        return ",".join(f"{stat.st_size}-{stat.st_mtime_ns}" for stat in found)

    def prepare(self, data: bytes) -> npt.NDArray[np.uint8]:
        """Decode an image and bring it to the model's size; (height, width, 3).

        Raises:
            UnreadableRow: see `operators.images.decode` and `shape`.
        """
        return np.asarray(shape(decode(data), self._shaping), np.uint8)

    def embed(self, rows: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Embed prepared images; (n, num_features), each of length 1."""
        parts, self.batch_size = in_batches(self._encode, rows, batch_size=self.batch_size)
        return np.concatenate(parts)

    def scores(self, embeddings: npt.NDArray[np.float32], texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return cosines times the model's temperature; texts are encoded once."""
        key = tuple(texts)
        if key not in self._text_features:
            self._text_features[key] = self._encode_texts(key)
        scale = float(self._model.logit_scale.exp())
        return np.asarray(scale * (embeddings @ self._text_features[key].T), np.float32)

    def _encode(self, rows: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        pixels = torch.from_numpy(np.stack(rows)).to(self.device).permute(0, 3, 1, 2)
        with torch.inference_mode(), self._precision():
            images = (pixels.float() / 255 - self._mean) / self._std
            features = self._model.encode_image(images, normalize=True)
        return np.asarray(features.float().cpu().numpy())

    def _encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        parts = []
        # Few, once, and every score rests on them: in full precision.
        with torch.inference_mode():
            for start in range(0, len(texts), _TEXTS):
                tokens = self._tokenizer(list(texts[start : start + _TEXTS])).to(self.device)
                parts.append(self._model.encode_text(tokens, normalize=True).float().cpu().numpy())
        return np.concatenate(parts)

    def _precision(self) -> AbstractContextManager[object]:
        if self.device == "cpu":
            return nullcontext()
        return torch.autocast("cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)


def in_batches(
    encode: Callable[[Sequence[Any]], npt.NDArray[np.float32]], rows: Sequence[Any], *, batch_size: int
) -> tuple[list[npt.NDArray[np.float32]], int]:
    """Encode rows in batches that fit: a batch for which memory runs out is tried again in halves.

    Args:
        encode: takes a batch.
        rows: at least one.
        batch_size: to start with, at least 1.

    Returns:
        the parts in the order of the rows, and the size that fitted.

    Raises:
        torch.OutOfMemoryError: a single row does not fit.
    """
    parts: list[npt.NDArray[np.float32]] = []
    start = 0
    while start < len(rows):
        try:
            parts.append(encode(rows[start : start + batch_size]))
        except torch.OutOfMemoryError:
            # Of the batch that failed, which may have been a short last one.
            batch_size = min(batch_size, len(rows) - start)
            if batch_size == 1:
                raise
            batch_size //= 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        else:
            start += batch_size
    return parts, batch_size


def _open_clip() -> Any:
    try:
        ensure_torchvision()
        import open_clip
    except ImportError as error:
        raise InputError(
            f"CLIP needs open_clip: {error}; install the extra on all nodes: pip install -e '.[image]'"
        ) from error
    return open_clip
