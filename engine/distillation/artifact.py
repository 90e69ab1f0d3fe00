"""The folder of a distilled model, committed whole."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.distillation.card import CARD, model_card
from engine.distillation.job import Trained
from engine.distillation.network_spec import NetworkTrained
from engine.distillation.origin import Origin
from engine.distillation.outcome import Distillation
from operators.commit import flush, no_room_named
from operators.end_model import LinearModel, read_config
from operators.features import FeatureSpec
from operators.mlp import MlpModel


def commit(
    done: Distillation,
    trained: Trained,
    *,
    features: FeatureSpec,
    class_names: tuple[str, ...],
    extra: dict[str, Any],
    origin: Origin | None,
) -> None:
    """Write the model's folder whole: weights, config and card; one that is there is replaced."""
    training = {k: v for k, v in done.to_json().items() if k not in ("folder", "candidates", "seconds", "temperature")}
    save = partial(
        _save,
        trained=trained,
        features=features,
        class_names=class_names,
        extra={"training": training, "facts": extra},
    )
    with no_room_named(done.folder):
        _put(save, done.folder, origin=origin)


def _save(
    folder: Path, *, trained: Trained, features: FeatureSpec, class_names: tuple[str, ...], extra: dict[str, Any]
) -> None:
    told: dict[str, Any] = {
        "features": features,
        "class_names": class_names,
        "temperature": trained.temperature,
        "extra": extra,
    }
    scales = trained.scales.astype(np.float32)
    if not isinstance(trained, NetworkTrained):
        weights = trained.weights.astype(np.float32)
        LinearModel(weight=weights[:-1], bias=weights[-1], scales=scales, **told).save(folder)
    elif features.kind == "tokens":
        # Imported here: transformers takes seconds, and the other heads do without.
        from operators.fine_tuned import save

        save(folder, trained.tensors, **told)
    else:
        MlpModel(used=trained.used, scales=scales, **(trained.tensors | told)).save(folder)


def _put(save: Callable[[Path], None], place: Path, *, origin: Origin | None) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    for stale in place.parent.glob(f"{place.name}.tmp-*"):
        shutil.rmtree(stale)
    attempt, old = _beside(place, "new"), _beside(place, "old")
    attempt.mkdir()
    save(attempt)
    card = model_card(read_config(attempt), origin=origin, measured=None)
    (attempt / CARD).write_text(card, encoding="utf-8")
    for path in (*attempt.iterdir(), attempt):
        flush(path)
    if place.exists():
        # A folder cannot be renamed over a full one; killed in between, the stage finds no model and trains again.
        place.rename(old)
    attempt.rename(place)
    flush(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def _beside(place: Path, what: str) -> Path:
    return place.with_name(f"{place.name}.tmp-{what}-{uuid.uuid4().hex[:12]}")
