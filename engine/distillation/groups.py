"""Who trains together: one process, or the workers of a Ray Train job.

The train loop is written once, against these few sums.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from operators.schema import Floats


class Group(Protocol):
    """Processes that hold different rows and take the same steps.

    Attributes:
        rank: 0 for the process that decides.
    """

    rank: int

    def total(self, values: Floats) -> Floats:
        """Add up the values of all; every process gets the same bits."""
        ...

    def from_first(self, values: Floats) -> Floats:
        """Give every process the values of rank 0; those of the others give the shape."""
        ...


class Alone:
    """A group of one process."""

    rank = 0

    def total(self, values: Floats) -> Floats:
        """Return the values."""
        return values

    def from_first(self, values: Floats) -> Floats:
        """Return the values."""
        return values


class TorchGroup:
    """The process group that Ray Train has set up."""

    def __init__(self) -> None:
        import torch.distributed as dist

        self.rank = dist.get_rank()

    def total(self, values: Floats) -> Floats:
        """Add up by all-reduce."""
        import torch
        import torch.distributed as dist

        tensor = torch.from_numpy(np.array(values, dtype=np.float64))
        dist.all_reduce(tensor)
        return np.asarray(tensor.numpy())

    def from_first(self, values: Floats) -> Floats:
        """Broadcast."""
        import torch
        import torch.distributed as dist

        tensor = torch.from_numpy(np.array(values, dtype=np.float64))
        dist.broadcast(tensor, src=0)
        return np.asarray(tensor.numpy())
