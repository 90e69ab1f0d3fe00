"""The folder of a distilled model, committed whole."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.distillation.card import model_card
from engine.distillation.job import Trained
from engine.distillation.outcome import Distillation
from operators.commit import flush, no_room_named
from operators.end_model import LinearModel
from operators.features import FeatureSpec


def commit(
    done: Distillation, trained: Trained, *, features: FeatureSpec, class_names: tuple[str, ...], extra: dict[str, Any]
) -> None:
    """Write the model's folder whole: weights, config and card; one that is there is replaced."""
    weights = trained.weights.astype(np.float32)
    training = {k: v for k, v in done.to_json().items() if k not in ("folder", "candidates", "seconds", "temperature")}
    model = LinearModel(
        features=features,
        class_names=class_names,
        weight=weights[:-1],
        bias=weights[-1],
        scales=trained.scales.astype(np.float32),
        temperature=trained.temperature,
        extra={"training": training, "facts": extra},
    )
    with no_room_named(done.folder):
        _put(model, done, facts=extra)


def _put(model: LinearModel, done: Distillation, *, facts: dict[str, Any]) -> None:
    place = done.folder
    place.parent.mkdir(parents=True, exist_ok=True)
    for stale in place.parent.glob(f"{place.name}.tmp-*"):
        shutil.rmtree(stale)
    attempt, old = _beside(place, "new"), _beside(place, "old")
    attempt.mkdir()
    model.save(attempt)
    (attempt / "README.md").write_text(model_card(done, features=asdict(model.features), facts=facts), encoding="utf-8")
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
