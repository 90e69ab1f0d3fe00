"""The door for any modality: a small class turns rows into embeddings, and embeddings into scores of descriptions.

Programs read scores, the distilled model reads embeddings, and neither knows what was scored. So another modality is
one class of four members, named in the task file by its import path; docs/featurizers.md has a worked example.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from operators.errors import InputError

Option = str | int | float | bool | None

_MEMBERS = ("num_features", "prepare", "embed", "scores")


class RowFeaturizer(Protocol):
    """What a featurizer is; made once a worker, with the options of the task file as keywords.

    It may also have a number `batch_size`, how many rows `embed` is best given at a time, and a class method
    `identity(**options) -> str`, which names what else than its options changes what it gives, such as the weights
    behind a path; embeddings are kept under it.

    Attributes:
        num_features: d, of an embedding.
    """

    num_features: int

    def prepare(self, data: bytes) -> Any:
        """Turn the bytes of one row into what `embed` takes; called in several threads at a time.

        Raises:
            UnreadableRow: they cannot be read; the message says why, and the row stays without scores.
        """

    def embed(self, rows: Sequence[Any]) -> npt.NDArray[np.float32]:
        """Embed n prepared rows, at least one; (n, num_features)."""

    def scores(self, embeddings: npt.NDArray[np.float32], texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Say how well n rows fit t descriptions.

        Returns:
            (n, t), larger is better, on a scale whose softmax over descriptions that compete makes sense: of CLIP,
            cosines times its temperature.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturizerSpec:
    """Which featurizer, with which options.

    Attributes:
        use: `package.module:Class`.
        options: its keywords.
    """

    use: str
    options: Mapping[str, Option] = field(default_factory=dict)

    def identity(self) -> str:
        """Return what embeddings by this featurizer are kept under.

        Raises:
            InputError: there is no such class.
        """
        own = getattr(_class_of(self.use), "identity", None)
        return json.dumps([self.use, dict(self.options), None if own is None else own(**self.options)], sort_keys=True)

    def make(self) -> RowFeaturizer:
        """Make the featurizer.

        Raises:
            InputError: there is no such class, it is no featurizer, or does not take these options.
        """
        kind = _class_of(self.use)
        try:
            made: Any = kind(**self.options)
        except TypeError as error:
            raise InputError(f"featurizer {self.use} cannot be made with {dict(self.options)}: {error}") from error
        lacking = [name for name in _MEMBERS if not hasattr(made, name)]
        if lacking:
            raise InputError(
                f"featurizer {self.use} lacks {', '.join(lacking)}; operators/featurizer.py says what one has"
            )
        return made  # type: ignore[no-any-return]


def checked(embeddings: npt.NDArray[Any], *, rows: int, num_features: int, use: str) -> npt.NDArray[np.float32]:
    """Refuse what is no (rows, num_features) array of finite numbers; some libraries hand out hidden states instead.

    Raises:
        InputError: it is none.
    """
    if embeddings.shape != (rows, num_features) or not np.isfinite(embeddings).all():
        raise InputError(
            f"featurizer {use} gave embeddings of shape {embeddings.shape}, expected finite numbers of shape "
            f"{(rows, num_features)}"
        )
    return np.asarray(embeddings, np.float32)


def _class_of(use: str) -> Any:
    module, _, name = use.partition(":")
    if not module or not name:
        raise InputError(f"featurizer {use!r} is no import path; expected package.module:Class")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise InputError(
            f"featurizer {use} cannot be imported, on this node at least: {error}; install its package on all nodes"
        ) from error
    except AttributeError:
        raise InputError(f"featurizer {use}: module {module} has no {name}") from None
