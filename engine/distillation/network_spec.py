"""What a network head is and how it is trained: plain values, which need no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.distillation.job import Job, Trained
from engine.distillation.loop import Progress
from engine.task_end_model import EndModelSpec

WEIGHT_DECAY = 0.01
"""Of an encoder that is fine-tuned, beside the learning rate: what its authors use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network and how its steps are taken.

    Attributes:
        seed: of the first weights, of the order of rows and of what is left out.
        hidden: units of the hidden layer, where there is no encoder.
        encoder: folder or hub name of what is fine-tuned; None for a hidden layer.
        learning_rate: of Adam.
        batch_size: rows a step, of all workers together.
        accumulate: parts that the rows of a step are computed in, where they take too much memory at once.
    """

    seed: int
    hidden: int
    encoder: str | None
    learning_rate: float
    batch_size: int
    accumulate: int

    @classmethod
    def of(cls, spec: EndModelSpec, *, seed: int) -> NetworkSpec:
        """Read the task's part, with what it leaves open."""
        tuned = spec.head == "fine_tune"
        return cls(
            seed=seed,
            hidden=spec.hidden_units,
            encoder=spec.encoder if tuned else None,
            learning_rate=spec.learning_rate or (5e-5 if tuned else 3e-3),
            batch_size=spec.batch_size or (32 if tuned else 64),
            accumulate=spec.accumulate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkJob(Job):
    """A job for a network.

    Attributes:
        network: what is trained.
        class_names: k names.
    """

    network: NetworkSpec
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, job: Job, network: NetworkSpec, *, class_names: Sequence[str]) -> NetworkJob:
        """Make a job one for a network; an encoder has one weight decay, and no other to choose from."""
        told: dict[str, Any] = {found.name: getattr(job, found.name) for found in fields(Job)}
        if network.encoder is not None:
            told["regularization"] = (WEIGHT_DECAY,)
        return cls(**told, network=network, class_names=tuple(class_names))


@dataclass(slots=True, kw_only=True)
class NetworkProgress(Progress):
    """Where the training of a network stands; `weights` and those of choices are flat, float32.

    Attributes:
        passes: of the present regularization that are done.
        optimizer: its state after them, as torch writes it; empty at the start of a regularization.
    """

    passes: int = 0
    optimizer: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkTrained(Trained):
    """The outcome for a network.

    Attributes:
        tensors: chosen weights by name.
        used: (u,) features that occurred, which the first layer has rows for; none where features are tokens.
    """

    tensors: dict[str, npt.NDArray[np.float32]]
    used: npt.NDArray[np.int64]
