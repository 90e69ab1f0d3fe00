"""CLIP by open_clip: images and descriptions in one space, on a GPU where there is one.

Decoding, resizing and cropping run in threads beside the model and give bytes; they become floats on the device, so
that a quarter of the data travels. An embedding has length 1, so that scores are cosines times the temperature that
the model learned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from operators.clip_source import ClipSource
from operators.errors import InputError
from operators.images import decode, shape

_CPU_BATCH = 32
_MOST = 512
"""Images at once on a GPU, which is busy with fewer, and waits for the first batch of each shard."""

_PROBED = 16
"""Images that go through a GPU first, to see what one takes."""

_LENT = 0.8
"""Of a GPU's free memory; what is lent in pieces does not fit without gaps."""

_TEXTS = 256
"""Encoded at a time."""

_HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


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

    def __init__(self, *, batch_size: int | None = None, precision: str = "auto", **source: Any) -> None:
        """Load a model.

        Args:
            batch_size: to start with; unless given, 32 on a CPU, and on a GPU what its free memory holds, at most 512.
            precision: float32, or bfloat16 or float16 by autocast. `auto` is float32 on a CPU and half on a GPU:
                bfloat16, or float16 where the GPU has none.
            source: the attributes of `ClipSource`.

        Raises:
            InputError: there is no such model, its weights cannot be had, or an option is wrong.
        """
        from PIL import Image

        self._source = ClipSource(**source)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._half = _half(precision, device=self.device)
        loaded, preprocess = self._source.load()
        self._model: Any = loaded.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        *shaping, _to_tensor, normalise = preprocess.transforms
        self._shaping = tuple(shaping)
        self._mean, self._std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in (normalise.mean, normalise.std)
        )
        self._tokenizer: Any = None
        self._texts: dict[tuple[str, ...], npt.NDArray[np.float32]] = {}
        blank = self._shaped(Image.new("RGB", (64, 64)))
        self.num_features = int(self._encode([blank]).shape[1])
        if batch_size is None:
            batch_size = self._fitting_batch(blank) if self.device == "cuda" else _CPU_BATCH
        self.batch_size = batch_size

    @classmethod
    def identity(cls, *, batch_size: int | None = None, precision: str = "auto", **source: Any) -> str:
        """Name what embeddings follow from: the files behind paths, the preprocessing, and the precision."""
        del batch_size
        clip = ClipSource(**source)
        stats = [path.stat() for path in clip.files()]
        files = [f"{stat.st_size}-{stat.st_mtime_ns}" for stat in stats]
        told = {"files": files, "preprocessing": clip.preprocessing(), "precision": precision}
        return json.dumps(told, sort_keys=True)

    @classmethod
    def memory_bytes(cls, *, batch_size: int | None = None, precision: str = "auto", **source: Any) -> int | None:
        """Estimate what a worker takes; see `ClipSource.memory_bytes`."""
        del batch_size, precision
        return ClipSource(**source).memory_bytes()

    def prepare(self, data: bytes) -> npt.NDArray[np.uint8]:
        """Decode an image and bring it to the model's size; (height, width, 3).

        Raises:
            UnreadableRow: see `operators.images.decode` and `shape`.
        """
        return self._shaped(decode(data))

    def embed(self, rows: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Embed prepared images; (n, num_features), each of length 1."""
        parts, self.batch_size = in_batches(self._encode, rows, batch_size=self.batch_size)
        return np.concatenate(parts)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed t texts; (t, num_features), each as long as the model's temperature.

        Raises:
            InputError: the tokenizer cannot be had.
        """
        if self._tokenizer is None:
            self._tokenizer = self._source.tokenizer()
        parts = []
        # Few, once, and every score rests on them: in full precision.
        with torch.inference_mode():
            for start in range(0, len(texts), _TEXTS):
                tokens = self._tokenizer(list(texts[start : start + _TEXTS])).to(self.device)
                parts.append(self._model.encode_text(tokens, normalize=True).float().cpu().numpy())
        return np.asarray(float(self._model.logit_scale.exp()) * np.concatenate(parts), np.float32)

    def scores(self, embeddings: npt.NDArray[np.float32], texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return cosines times the model's temperature; texts are encoded once."""
        key = tuple(texts)
        if key not in self._texts:
            self._texts[key] = self.encode_texts(key)
        return np.asarray(embeddings @ self._texts[key].T, np.float32)

    def _shaped(self, image: Any) -> npt.NDArray[np.uint8]:
        return np.asarray(shape(image, self._shaping), np.uint8)

    def _encode(self, rows: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        pixels = torch.from_numpy(np.stack(rows)).to(self.device).permute(0, 3, 1, 2)
        with torch.inference_mode(), self._precision():
            images = (pixels.float() / 255 - self._mean) / self._std
            features = self._model.encode_image(images, normalize=True)
        return np.asarray(features.float().cpu().numpy())

    def _precision(self) -> AbstractContextManager[object]:
        return nullcontext() if self._half is None else torch.autocast(self.device, self._half)

    def _fitting_batch(self, blank: npt.NDArray[np.uint8]) -> int:
        """Measure what images take on the GPU, and how many it has room for."""
        rows = [blank] * _PROBED
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        _, probed = in_batches(self._encode, rows, batch_size=_PROBED)
        peak = torch.cuda.max_memory_allocated() - before
        # What torch keeps for its next tensors is as good as free.
        kept = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return fitting_batch(free_bytes=torch.cuda.mem_get_info()[0] + kept, peak_bytes=peak, rows=probed)


def fitting_batch(*, free_bytes: int, peak_bytes: int, rows: int) -> int:
    """Tell how many rows go through a model at once.

    Args:
        free_bytes: of the device.
        peak_bytes: what a batch took at most, beside the model.
        rows: in that batch.

    Returns:
        a power of two of at most 512, for which four fifths of the free memory suffice; 1 where nothing does.
    """
    room = min(_MOST, int(_LENT * free_bytes * rows / max(peak_bytes, 1)))
    return 1 << max(room, 1).bit_length() - 1


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


def _half(precision: str, *, device: str) -> torch.dtype | None:
    """Return the type of autocast, None for full precision."""
    if precision == "auto":
        if device == "cpu":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if precision not in ("float32", *_HALVES):
        raise InputError(f"CLIP's option `precision` is {precision!r}; expected auto, float32, {', '.join(_HALVES)}")
    return _HALVES.get(precision)
