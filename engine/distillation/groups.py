"""Who trains together: one process, or the workers of a Ray Train job.

The train loop is written once, against these few sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from operators.schema import Floats

if TYPE_CHECKING:
    import torch


class Group(Protocol):
    """Processes that hold different rows and take the same steps.

    Attributes:
        rank: 0 for the process that decides.
        size: how many there are.
    """

    rank: int
    size: int

    def total(self, values: Floats) -> Floats:
        """Add up the values of all; every process gets the same bits."""
        ...

    def from_first(self, values: Floats) -> Floats:
        """Give every process the values of rank 0; those of the others give the shape."""
        ...

    def add_up(self, tensor: torch.Tensor) -> None:
        """Add up a tensor of all in its own precision and on its device, in place."""
        ...


class Alone:
    """A group of one process."""

    rank = 0
    size = 1

    def total(self, values: Floats) -> Floats:
        """Return the values."""
        return values

    def from_first(self, values: Floats) -> Floats:
        """Return the values."""
        return values

    def add_up(self, tensor: torch.Tensor) -> None:
        """Leave the tensor as it is."""


class TorchGroup:
    """The process group that Ray Train has set up."""

    def __init__(self) -> None:
        import torch.distributed as dist

        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        # NCCL moves what lies on an accelerator alone.
        self._device = "cuda" if dist.get_backend() == "nccl" else "cpu"

    def total(self, values: Floats) -> Floats:
        """Add up by all-reduce."""
        import torch
        import torch.distributed as dist

        tensor = torch.from_numpy(np.array(values, dtype=np.float64)).to(self._device)
        dist.all_reduce(tensor)
        return np.asarray(tensor.cpu().numpy())

    def from_first(self, values: Floats) -> Floats:
        """Broadcast."""
        import torch
        import torch.distributed as dist

        tensor = torch.from_numpy(np.array(values, dtype=np.float64)).to(self._device)
        dist.broadcast(tensor, src=0)
        return np.asarray(tensor.cpu().numpy())

    def add_up(self, tensor: torch.Tensor) -> None:
        """Add up by all-reduce."""
        import torch.distributed as dist

        dist.all_reduce(tensor)
