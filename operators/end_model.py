"""The distilled model at work: a classifier over features, linear unless told, read from a folder.

What workers need to predict. Training it is `engine.distillation`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from operators.corpus.records import Fields
from operators.errors import InputError
from operators.features import FeatureSpec, Featurizer, Sparse, features_of, weighted
from operators.featurizer import FeaturizerSpec
from operators.schema import Floats
from operators.storage import Folder, folder_of

FORMAT = 3
"""Version of the folder's layout and of the features; a folder of another version is refused."""

CONFIG, WEIGHTS = "config.json", "model.safetensors"
EMBEDDED_BY = "featurizer"
"""Key of the facts that says what made the embeddings: {"use", "options"}."""

FIELDS = "fields"
"""Key of the facts that says what columns of a record a row's text is made of: {"columns", "as_json"}."""

CONFIG_KEYS = ("format", "kind", "features", "class_names", "temperature")
NESTED = "alchemist"
"""Key of our config in a config.json of transformers."""

_BATCH = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureModel(ABC):
    """What every classifier over weighted features has in common; `LinearModel` is one.

    Attributes:
        features: how a text becomes features.
        class_names: k names.
        scales: (d,) float32, what features are multiplied by before the row is brought to length 1.
        temperature: what scores are divided by, so that probabilities mean what they say on held-out rows.
        extra: JSON values that are kept in the model's config.
    """

    kind: ClassVar[str]
    tensor_names: ClassVar[tuple[str, ...]]

    features: FeatureSpec
    class_names: tuple[str, ...]
    scales: npt.NDArray[np.float32]
    temperature: float = 1.0
    extra: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def featurizer(self) -> Featurizer:
        """What turns texts into features; loaded when first asked for."""
        return Featurizer(self.features)

    def predict_proba(self, texts: Sequence[str | None]) -> Floats:
        """Return the probability of each class; (n, k), rows sum to 1. A null counts as a text without words."""
        out = np.empty((len(texts), len(self.class_names)))
        # In batches, so that the features of a long list never stand in memory at once.
        for start in range(0, len(texts), _BATCH):
            features = self.featurizer.transform(texts[start : start + _BATCH])
            out[start : start + _BATCH] = self.probabilities(features)
        return out

    @property
    def embedded_by(self) -> FeaturizerSpec | None:
        """What made the embeddings that the model was distilled from; None where it reads texts."""
        return embedded_by(self.extra)

    def predict_embeddings(self, embeddings: npt.NDArray[Any]) -> Floats:
        """Return the probability of each class of (n, d) embeddings; (n, k)."""
        kept = as_kept(embeddings)
        out = np.empty((len(kept), len(self.class_names)))
        for start in range(0, len(kept), _BATCH):
            out[start : start + _BATCH] = self.probabilities(features_of(kept[start : start + _BATCH]))
        return out

    def probabilities(self, features: Sparse) -> Floats:
        """Return the probability of each class for rows that are featurized by `features`; (n, k)."""
        return softmax(self.scores(weighted(features, self.scales)) / self.temperature)

    @abstractmethod
    def scores(self, features: Sparse) -> npt.NDArray[np.float32]:
        """Score (n, d) weighted features; (n, k), before the temperature."""

    def save(self, folder: Path) -> None:
        """Write config.json and model.safetensors into an existing folder."""
        from safetensors.numpy import save

        config = {
            "format": FORMAT,
            "kind": self.kind,
            "features": self.features.to_json(),
            "class_names": list(self.class_names),
            "temperature": self.temperature,
            **self.extra,
        }
        text = json.dumps(config, indent=2, allow_nan=False) + "\n"
        (folder / CONFIG).write_text(text, encoding="utf-8")
        # Written by us rather than by safetensors, whose error for a full disk says less.
        data = save({name: np.ascontiguousarray(getattr(self, name)) for name in self.tensor_names})
        (folder / WEIGHTS).write_bytes(data)

    @classmethod
    def load(cls, folder: str | Folder) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: there is no model of this kind in `folder`, it is damaged, or it is of another version.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load, load_file

        folder = folder_of(folder) if isinstance(folder, str) else folder
        config = read_config(folder)
        if config["kind"] != cls.kind:
            raise InputError(f"{folder}: a model of kind {config['kind']!r}, expected {cls.kind!r}")
        with readable(folder, SafetensorError):
            weights = folder / WEIGHTS
            tensors = load_file(weights) if isinstance(weights, Path) else load(weights.read_bytes())
            return cls(
                features=FeatureSpec.from_json(config["features"]),
                class_names=tuple(config["class_names"]),
                temperature=float(config["temperature"]),
                extra={key: value for key, value in config.items() if key not in CONFIG_KEYS},
                **{name: tensors[name] for name in cls.tensor_names},
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearModel(FeatureModel):
    """A multinomial logistic regression over weighted features.

    Attributes:
        weight: (d, k) float32.
        bias: (k,) float32.
    """

    kind: ClassVar[str] = "linear"
    tensor_names: ClassVar[tuple[str, ...]] = ("weight", "bias", "scales")

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def scores(self, features: Sparse) -> npt.NDArray[np.float32]:
        """Score (n, d) weighted features; (n, k)."""
        return np.asarray(features @ self.weight + self.bias)


def read_config(folder: Folder) -> dict[str, Any]:
    """Read the config of a model folder.

    A fine-tuned encoder's config.json belongs to transformers and holds ours under one key.

    Raises:
        InputError: there is none, or it is of another version.
    """
    with readable(folder):
        whole = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        config: dict[str, Any] = whole.get(NESTED, whole)
        found = config.get("format")
        if found != FORMAT:
            raise InputError(f"{folder}: a model of format {found}, expected {FORMAT}; distill it again")
        if not isinstance(config["kind"], str):
            raise TypeError(f"its kind is {config['kind']!r}")
        return config


def as_kept(embeddings: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Round embeddings as a run keeps them, so that an image gets the same probabilities from both."""
    return embeddings.astype(np.float16).astype(np.float32)


def embedded_by(config: Mapping[str, Any]) -> FeaturizerSpec | None:
    """Return what made the embeddings that a model of this config was distilled from; None where it reads texts."""
    found = config.get("facts", {}).get(EMBEDDED_BY)
    return None if found is None else FeaturizerSpec(use=found["use"], options=found["options"])


def fields_of(features: FeatureSpec, config: Mapping[str, Any]) -> Fields | None:
    """Return what makes up a row's text for a model of these features and this config; None where it is one column."""
    found = config.get("facts", {}).get(FIELDS)
    if found is not None:
        return Fields(columns=tuple(found["columns"]), as_json=found["as_json"])
    return Fields(columns=features.columns, as_json=True) if features.columns else None


@contextmanager
def readable(folder: Folder, *more: type[Exception]) -> Iterator[None]:
    """Turn what can go wrong in reading a model folder into an InputError; `more` are errors of other libraries."""
    known: tuple[type[Exception], ...] = (OSError, ValueError, KeyError, TypeError, AttributeError, *more)
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: no distilled model here, {Path(error.filename or WEIGHTS).name} is missing; "
            "name the `model` folder of a run"
        ) from error
    except known as error:
        raise InputError(f"{folder}: the model cannot be read: {error!r}; distill it again") from error


def softmax(scores: npt.NDArray[Any]) -> Floats:
    """Turn (n, k) scores into probabilities."""
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def scores_of(features: Sparse, weights: Floats) -> npt.NDArray[np.float32]:
    """Score (n, d) weighted features; `weights` is (d + 1, k), the bias last."""
    single = weights.astype(np.float32)
    return np.asarray(features @ single[:-1] + single[-1])
