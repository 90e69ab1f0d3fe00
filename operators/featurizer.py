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

Option = str | int | float | bool | None | list[float]

_MEMBERS = ("num_features", "prepare", "embed", "scores")


class RowFeaturizer(Protocol):
    """What a featurizer is; made once a worker, with the options of the task file as keywords.

    It may also have a number `batch_size`, how many rows `embed` is best given at a time, and a method
    `encode_texts(texts)`, where scores are `embeddings @ encode_texts(texts).T`: (t, d), made once for all workers. And
    class methods that take its options: `identity(**options) -> str` names what else changes what it gives, such as the
    weights behind a path, and embeddings are kept under it; `memory_bytes(**options) -> int | None` is what a worker
    with one takes, None where that is not known. The class may have the attributes of `Traits`.

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


class Scorer(Protocol):
    """What scores ask for: a `RowFeaturizer`, or texts that one has encoded."""

    def scores(self, embeddings: npt.NDArray[np.float32], texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """See `RowFeaturizer.scores`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a featurizer says of itself to people and language models, by attributes of its class of these names.

    Attributes:
        row: what a row is called.
        scale: of its scores, a sentence or two.
        texts: the only descriptions that it knows; None where it takes free text.
    """

    row: str = "image"
    scale: str = ""
    texts: tuple[str, ...] | None = None

    def why_not(self, text: str) -> str | None:
        """Say why a description cannot be scored; None where it can."""
        if self.texts is None or text in self.texts:
            return None
        return f"{text!r} is no description that the featurizer knows; it takes {', '.join(map(repr, self.texts))}"


IMAGE = Traits()
"""Of a featurizer that says nothing of itself."""


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
            InputError: there is no such class, or it does not take these options.
        """
        own = getattr(_class_of(self.use), "identity", None)
        told = None if own is None else self._called(own)
        return json.dumps([self.use, dict(self.options), told], sort_keys=True)

    def memory_bytes(self) -> int | None:
        """Return what a worker takes that makes the featurizer; None where it does not tell.

        Raises:
            InputError: there is no such class, or it does not take these options.
        """
        own = getattr(_class_of(self.use), "memory_bytes", None)
        return None if own is None else self._called(own)

    @property
    def encodes_texts(self) -> bool:
        """Whether it can encode texts apart from rows; see `RowFeaturizer`."""
        return hasattr(_class_of(self.use), "encode_texts")

    def traits(self) -> Traits:
        """Return what the class says of itself.

        Raises:
            InputError: there is no such class.
        """
        kind = _class_of(self.use)
        texts = getattr(kind, "texts", None)
        return Traits(
            row=getattr(kind, "row", IMAGE.row),
            scale=getattr(kind, "scale", IMAGE.scale),
            texts=None if texts is None else tuple(texts),
        )

    def make(self) -> RowFeaturizer:
        """Make the featurizer.

        Raises:
            InputError: there is no such class, it is no featurizer, or does not take these options.
        """
        made = self._called(_class_of(self.use))
        lacking = [name for name in _MEMBERS if not hasattr(made, name)]
        if lacking:
            raise InputError(
                f"featurizer {self.use} lacks {', '.join(lacking)}; operators/featurizer.py says what one has"
            )
        return made  # type: ignore[no-any-return]

    def _called(self, function: Any) -> Any:
        try:
            return function(**self.options)
        except TypeError as error:
            raise InputError(f"featurizer {self.use} cannot be made with {dict(self.options)}: {error}") from error


def checked(embeddings: npt.NDArray[Any], *, rows: int, num_features: int, use: str) -> npt.NDArray[np.float16]:
    """Bring embeddings to the half precision in which they are kept, and refuse what is none.

    Some libraries hand out hidden states instead, and a featurizer of one's own may give numbers of any size.

    Raises:
        InputError: they are no (rows, num_features) array of numbers that half precision can hold.
    """
    if embeddings.shape == (rows, num_features):
        # What is too large becomes infinite, which is refused below.
        with np.errstate(over="ignore"):
            halves = np.asarray(embeddings, np.float16)
        if np.isfinite(halves).all():
            return halves
    raise InputError(
        f"featurizer {use} gave embeddings of shape {embeddings.shape}, expected finite numbers of shape "
        f"{(rows, num_features)}, none beyond the 65,504 of half precision"
    )


def scores_of(
    featurizer: Scorer,
    embeddings: npt.NDArray[np.float16],
    texts: Sequence[str],
    *,
    names: Sequence[str],
    use: str,
) -> npt.NDArray[np.float64]:
    """Score rows by descriptions; (n, t).

    Args:
        featurizer: that embedded them.
        embeddings: (n, d), as they are kept.
        texts: t descriptions.
        names: of the n rows.
        use: the featurizer's import path.

    Raises:
        InputError: it gives something else than (n, t) finite numbers.
    """
    scores = np.asarray(featurizer.scores(embeddings.astype(np.float32), texts), np.float64)
    if scores.shape != (len(names), len(texts)):
        raise InputError(
            f"featurizer {use} gave scores of shape {scores.shape}, expected {(len(names), len(texts))}: a row for "
            "each embedding, a column for each description"
        )
    bad = np.argwhere(~np.isfinite(scores))
    if len(bad):
        row, text = bad[0].tolist()
        raise InputError(
            f"featurizer {use} gave {names[row]} the score {scores[row, text]} for the description {texts[text]!r}, "
            "expected a finite number"
        )
    return scores


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
