"""A distilled model with one hidden layer over features.

Its first layer holds rows for the features that occurred in training alone: hashing leaves most buckets empty, and a
hidden layer over all of them would be a hundred times as large as what was learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from operators.end_model import FeatureModel
from operators.features import Sparse


@dataclass(frozen=True, kw_only=True, eq=False)
class MlpModel(FeatureModel):
    """A perceptron with one hidden layer of rectified units.

    Attributes:
        used: (u,) int64, features that the first layer knows, rising; others count as absent.
        first: (u, h) float32.
        first_bias: (h,) float32.
        weight: (h, k) float32.
        bias: (k,) float32.
    """

    kind: ClassVar[str] = "mlp"
    tensor_names: ClassVar[tuple[str, ...]] = ("used", "first", "first_bias", "weight", "bias", "scales")

    used: npt.NDArray[np.int64]
    first: npt.NDArray[np.float32]
    first_bias: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def scores(self, features: Sparse) -> npt.NDArray[np.float32]:
        """Score (n, d) weighted features; (n, k)."""
        hidden = features[:, self.used] @ self.first + self.first_bias
        return np.asarray(np.maximum(hidden, 0) @ self.weight + self.bias, np.float32)
