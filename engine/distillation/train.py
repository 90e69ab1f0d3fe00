"""Distilling a model from featurized shards into a folder."""

from __future__ import annotations

import logging
import math
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.distillation.card import model_card
from engine.distillation.choice import Candidate
from engine.distillation.groups import Alone
from engine.distillation.job import Job, Trained, do_job
from engine.distillation.ray_trainer import train_on_ray
from engine.distillation.rows import feature_bytes, feature_spec, num_rows
from engine.errors import EngineError
from engine.task_parts import EndModelSpec
from operators.commit import flush, no_room_named
from operators.end_model import LinearModel
from operators.features import FeatureSpec, Featurizer
from operators.storage import Folder

logger = logging.getLogger(__name__)

PROCESS_BYTES = 4 << 30
"""Features above this are spread over workers: with weighted copies they take three times as much memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """How a distilled model came about.

    Attributes:
        folder: of the model.
        regularization: chosen L2 weight.
        epoch: chosen pass.
        heldout_loss: of the chosen weights, cross entropy with held-out soft labels; NaN where none were held out.
        candidates: every pass of every regularization, on held-out rows.
        trainer: "process" or "ray".
        trainer_reason: why that one.
        num_workers: processes that trained.
        num_rows: rows trained on or held out.
        num_heldout: of these, held out.
        soft_shares: {class: mean soft label of all rows}.
        predicted_shares: {class: share of held-out rows that are predicted to be of it}.
        seconds: wall time.
        warnings: what the user should know.
    """

    folder: Path
    regularization: float
    epoch: int
    heldout_loss: float
    candidates: tuple[Candidate, ...]
    trainer: str
    trainer_reason: str
    num_workers: int
    num_rows: int
    num_heldout: int
    soft_shares: dict[str, float]
    predicted_shares: dict[str, float]
    seconds: float
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: an undefined loss is null, candidates are the best pass of each regularization."""
        best: dict[float, Candidate] = {}
        for candidate in self.candidates:
            known = best.get(candidate.regularization)
            if known is None or candidate.rank() < known.rank():
                best[candidate.regularization] = candidate
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return content | {
            "folder": str(self.folder),
            "heldout_loss": None if math.isnan(self.heldout_loss) else self.heldout_loss,
            "candidates": [candidate.to_json() for candidate in best.values()],
            "warnings": list(self.warnings),
        }


def distill(
    feature_files: Sequence[Folder],
    *,
    spec: EndModelSpec,
    class_names: Sequence[str],
    seed: int,
    out: Path,
    facts: Mapping[str, Any],
    shared: Folder | None = None,
    features: FeatureSpec | None = None,
) -> Distillation:
    """Train a model on soft labels and commit its folder.

    Regularization and epoch are chosen by the loss on held-out soft labels; gold is not read. A candidate that has
    lost a class that the soft labels give is passed over for one that has not.

    Args:
        feature_files: written by `operators.featurize.FeaturizeShard`.
        spec: of the task.
        class_names: k names.
        seed: of the task, written into the model's config; training itself draws nothing.
        out: folder of the model; one that is there is replaced.
        facts: JSON values for config and model card, such as the task's name.
        shared: folder that all nodes reach, for checkpoints of Ray Train; the one that `out` is in unless told.
        features: of the rows; those of the spec unless told.

    Raises:
        EngineError: there is no row to train on, or Ray Train failed.
    """
    start = time.perf_counter()
    total = num_rows(feature_files)
    if total == 0:
        raise EngineError(
            "no row to distill from: every training row is uncovered; add programs that vote on more rows"
        )
    features = features or feature_spec(spec)
    trainer, workers, reason = choose_trainer(feature_files, spec)
    logger.info("distill: %d rows, trainer %s: %s", total, trainer, reason)
    job = Job(
        files=tuple(path.resolve() if isinstance(path, Path) else path for path in feature_files),
        num_features=Featurizer(features).num_features,
        num_classes=len(class_names),
        regularization=tuple(sorted(set(spec.regularization), reverse=True)),
        epochs=spec.epochs,
    )
    out = Path(out)
    if trainer == "ray":
        trained = train_on_ray(job, num_workers=workers, folder=shared or out.resolve().parent)
    else:
        trained = do_job(job, job.files, group=Alone(), progress=None, on_round=lambda _: None)
    chosen = trained.progress.choice.best
    assert chosen is not None, "the start is always offered"
    done = Distillation(
        folder=out,
        regularization=chosen.regularization,
        epoch=chosen.epoch,
        heldout_loss=chosen.heldout_loss if trained.num_heldout else math.nan,
        candidates=tuple(trained.progress.candidates),
        trainer=trainer,
        trainer_reason=reason,
        num_workers=workers,
        num_rows=trained.num_train + trained.num_heldout,
        num_heldout=trained.num_heldout,
        soft_shares=dict(zip(class_names, trained.soft_shares, strict=True)),
        predicted_shares=dict(zip(class_names, chosen.predicted_shares, strict=True)),
        seconds=time.perf_counter() - start,
        warnings=_warnings(trained, chosen, class_names),
    )
    _commit(done, trained, features=features, class_names=tuple(class_names), extra={"seed": seed, **facts})
    logger.info("distill: regularization %g, epoch %d, %.1f s", done.regularization, done.epoch, done.seconds)
    return done


def choose_trainer(feature_files: Sequence[Folder], spec: EndModelSpec) -> tuple[str, int, str]:
    """Return the trainer, the number of its workers and the reason."""
    size = feature_bytes(feature_files)
    about = f"{size / 2**20:.0f} MiB of features"
    needed = max(spec.num_workers, math.ceil(size / PROCESS_BYTES))
    if spec.trainer == "process":
        return "process", 1, f"the task file says so ({about})"
    if spec.trainer == "ray":
        return "ray", min(needed, len(feature_files)), f"the task file says so ({about})"
    if spec.num_workers > 1:
        return "ray", min(needed, len(feature_files)), f"num_workers is {spec.num_workers} ({about})"
    if size > PROCESS_BYTES:
        return "ray", min(needed, len(feature_files)), f"{about}, more than {PROCESS_BYTES >> 20} MiB"
    return "process", 1, f"{about} fit in this process, and starting workers would take longer than training"


def _warnings(trained: Trained, chosen: Candidate, class_names: Sequence[str]) -> tuple[str, ...]:
    found = []
    if not trained.num_heldout or not trained.num_train:
        found.append(
            f"{trained.num_train + trained.num_heldout} rows are too few to hold some out: regularization and epoch "
            "are not chosen, the middle of the path is taken"
        )
    by_loss = trained.progress.choice.by_loss
    if chosen.collapsed:
        lost = ", ".join(class_names[c] for c in chosen.collapsed)
        found.append(
            f"the model hardly ever predicts {lost}, although the soft labels do: predicted shares "
            f"{_shares(chosen.predicted_shares)}, soft labels {_shares(chosen.soft_shares)}; no regularization avoids "
            "it. Look at the programs of these classes, or give smaller values in `end_model.regularization`"
        )
    elif by_loss is not None and by_loss.collapsed:
        lost = ", ".join(class_names[c] for c in by_loss.collapsed)
        found.append(
            f"the best held-out loss, at regularization {by_loss.regularization:g}, hardly ever predicts {lost}; "
            f"regularization {chosen.regularization:g} is taken instead, which does"
        )
    return tuple(found)


def _shares(shares: Sequence[float]) -> str:
    return "/".join(f"{share:.2f}" for share in shares)


def _commit(
    done: Distillation, trained: Trained, *, features: FeatureSpec, class_names: tuple[str, ...], extra: dict[str, Any]
) -> None:
    weights = trained.progress.choice.weights.astype(np.float32)
    training = {k: v for k, v in done.to_json().items() if k not in ("folder", "candidates", "seconds")}
    model = LinearModel(
        features=features,
        class_names=class_names,
        weight=weights[:-1],
        bias=weights[-1],
        idf=trained.idf.astype(np.float32),
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
