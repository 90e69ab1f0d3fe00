"""The networks that are trained in small batches: a hidden layer over features, and an encoder with a layer of classes.

Both take rows of a sparse matrix and give scores, so that one loop trains either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from engine.distillation.network_spec import NetworkSpec
from operators.features import Sparse

_DROPOUT = 0.2
_SPREAD = 0.1
"""Of the first weights: rows have length 1, so that hidden units start at about this size."""

_DENSE = 0.5
"""Share of places that are filled from which a matrix is multiplied as a dense one."""


class Network(Protocol):
    """What the loop needs of a network; a `torch.nn.Module` has the rest."""

    def __call__(self, features: Sparse) -> torch.Tensor:
        """Score n rows, to be learned from; (n, k)."""

    def scores(self, features: Sparse) -> npt.NDArray[np.float32]:
        """Score n rows as they will be predicted; (n, k)."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Give the weights."""

    def state_dict(self) -> Mapping[str, Any]:
        """Give the weights by name."""

    def train(self) -> Any:
        """Get ready to be learned from."""


class Mlp(torch.nn.Module):
    """One hidden layer of rectified units; its first layer adds up the rows of the features that a text has."""

    def __init__(self, num_features: int, *, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.first = torch.nn.Parameter(torch.randn(num_features, hidden) * _SPREAD)
        self.first_bias = torch.nn.Parameter(torch.zeros(hidden))
        self.weight = torch.nn.Parameter(torch.randn(hidden, num_classes) / hidden**0.5)
        self.bias = torch.nn.Parameter(torch.zeros(num_classes))

    def forward(self, features: Sparse) -> torch.Tensor:
        """Score n rows; (n, k)."""
        if features.nnz > _DENSE * features.shape[0] * features.shape[1]:
            hidden = torch.from_numpy(features.toarray()) @ self.first
        else:
            hidden = functional.embedding_bag(
                torch.from_numpy(features.indices.astype(np.int64)),
                self.first,
                torch.from_numpy(features.indptr[:-1].astype(np.int64)),
                mode="sum",
                per_sample_weights=torch.from_numpy(features.data),
            )
        hidden = functional.dropout(torch.relu(hidden + self.first_bias), _DROPOUT, self.training)
        return hidden @ self.weight + self.bias

    def scores(self, features: Sparse) -> npt.NDArray[np.float32]:
        """Score n rows without learning from them, as `operators.mlp.MlpModel` does; (n, k)."""
        first, first_bias, weight, bias = (
            value.detach().numpy() for value in (self.first, self.first_bias, self.weight, self.bias)
        )
        return np.asarray(np.maximum(features @ first + first_bias, 0) @ weight + bias, np.float32)


def make(spec: NetworkSpec, *, num_features: int, class_names: Sequence[str]) -> Network:
    """Make a network with the weights that it starts from, which its seed settles."""
    with torch.random.fork_rng():
        torch.manual_seed(spec.seed)
        if spec.encoder is None:
            return Mlp(num_features, hidden=spec.hidden, num_classes=len(class_names))
        # Imported here: transformers takes seconds, and a hidden layer does without.
        from operators.fine_tuned import TokenClassifier

        return TokenClassifier(spec.encoder, class_names=class_names)


def flat(network: Network) -> npt.NDArray[Any]:
    """Copy the weights of a network into one row, float32."""
    return np.asarray(torch.cat([p.detach().reshape(-1).cpu() for p in network.parameters()]).numpy())


def put(network: Network, weights: npt.NDArray[Any]) -> None:
    """Set the weights of a network to what `flat` gave."""
    start = 0
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(torch.from_numpy(weights[start : start + p.numel()]).reshape(p.shape))
            start += p.numel()


def tensors(network: Network) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights of a network by name."""
    return {name: value.detach().cpu().numpy().copy() for name, value in network.state_dict().items()}
