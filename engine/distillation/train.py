"""Distilling a model from featurized shards into a folder."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cluster.session import connect
from engine.distillation import safety
from engine.distillation.artifact import commit
from engine.distillation.checkpoints import Checkpoints
from engine.distillation.dropout import dropout_of
from engine.distillation.groups import Alone
from engine.distillation.heads import do
from engine.distillation.job import Job, Trained
from engine.distillation.losses import Loss
from engine.distillation.network_spec import NetworkJob, NetworkSpec, NetworkTrained
from engine.distillation.origin import Origin
from engine.distillation.outcome import Distillation
from engine.distillation.ray_trainer import train_on_ray, workers_with_room
from engine.distillation.rows import feature_bytes, feature_spec, num_covered
from engine.errors import EngineError
from engine.task_end_model import EndModelSpec
from operators.features import FeatureSpec, Featurizer
from operators.storage import Folder

logger = logging.getLogger(__name__)

PROCESS_BYTES = 4 << 30
"""Features above this are spread over workers: with weighted copies they take three times as much memory."""


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
    origin: Origin | None = None,
    num_features: int | None = None,
) -> Distillation:
    """Train a model on soft labels and commit its folder.

    Regularization and epoch are chosen by the loss on held-out soft labels; gold is not read. A candidate that has
    lost a class that the soft labels give is passed over for one that has not. Where the chosen one still loses a
    class on the rows it was trained on, safer settings are tried, and a warning says so.

    Args:
        feature_files: written by `operators.featurize.FeaturizeShard`.
        spec: of the task.
        class_names: k names.
        seed: of the task, of all that is drawn; written into the model's config.
        out: folder of the model; one that is there is replaced.
        facts: JSON values for config and model card, such as the task's name.
        shared: folder that all nodes reach, for checkpoints of Ray Train; the one that `out` is in unless told.
        features: of the rows; those of the spec unless told.
        origin: of the soft labels, for the model card; it changes nothing else.
        num_features: d, of a row; what makes the features is loaded to say it unless told.

    Raises:
        EngineError: there is no row to train on, or Ray Train failed.
    """
    start = time.perf_counter()
    total = num_covered(feature_files)
    if total == 0:
        raise EngineError(
            "no row to distill from: every training row is uncovered; add programs that vote on more rows"
        )
    features = features or feature_spec(spec)
    if num_features is None:
        featurizer = Featurizer(features)
        features, num_features = featurizer.spec, featurizer.num_features
        del featurizer  # An encoder in it takes memory that training needs.
    trainer, workers, reason = choose_trainer(feature_files, spec)
    logger.info("distill: %d rows, trainer %s: %s", total, trainer, reason)
    job = Job(
        files=tuple(path.resolve() if isinstance(path, Path) else path for path in feature_files),
        num_features=num_features,
        num_classes=len(class_names),
        regularization=tuple(sorted(set(spec.regularization), reverse=True)),
        epochs=spec.passes,
        loss=loss_of(spec),
        self_training=spec.self_training,
        telling=features.kind == "hashed_ngrams",
        dropout=dropout_of(spec, features),
        seed=seed,
    )
    if spec.head != "linear":
        job = NetworkJob.of(job, NetworkSpec.of(spec, seed=seed), class_names=class_names)
    out = Path(out)
    if trainer == "ray":
        with connect() as session:
            workers, fewer = workers_with_room(job, workers, session)
            if fewer:
                reason = f"{reason}; {fewer}"
                logger.info("distill: %s", fewer)
            trained = train_on_ray(job, num_workers=workers, folder=shared or out.resolve().parent)
    else:
        # The linear head is done before it would pay to write down where it stands.
        kept = Checkpoints(job, out.parent) if spec.head != "linear" else None
        found = None if kept is None else kept.load()
        save = (lambda _: None) if kept is None else kept.save
        trained = do(job, job.files, group=Alone(), progress=found, on_round=save)
    chosen = trained.chosen
    done = Distillation(
        folder=out,
        head=spec.head,
        regularization=chosen.regularization,
        epoch=chosen.epoch,
        heldout_loss=chosen.heldout_loss if trained.num_heldout else math.nan,
        candidates=tuple(trained.progress.candidates),
        trainer=trainer,
        trainer_reason=reason,
        num_workers=workers,
        num_rows=trained.num_rows,
        num_heldout=trained.num_heldout,
        learned_heldout=_learned_heldout(trained),
        soft_shares=dict(zip(class_names, trained.soft_shares, strict=True)),
        predicted_shares=dict(zip(class_names, chosen.predicted_shares, strict=True)),
        feature_dropout=job.dropout,
        setting=safety.best_of(trained.progress.tried).setting.name,
        temperature=trained.temperature,
        reliability=trained.bins,
        self_training=trained.self_training,
        seconds=time.perf_counter() - start,
        warnings=_warnings(trained, class_names),
    )
    extra = {"seed": seed, **facts}
    commit(done, trained, features=features, class_names=tuple(class_names), extra=extra, origin=origin)
    logger.info("distill: regularization %g, epoch %d, %.1f s", done.regularization, done.epoch, done.seconds)
    return done


def loss_of(spec: EndModelSpec) -> Loss:
    """Return what rows cost by the spec."""
    return Loss(
        name=spec.loss,
        temperature=spec.label_temperature,
        smoothing=spec.label_smoothing,
        confidence_power=spec.confidence_weight,
        by_class=spec.balance_classes,
    )


def choose_trainer(feature_files: Sequence[Folder], spec: EndModelSpec) -> tuple[str, int, str]:
    """Return the trainer, the number of its workers and the reason.

    For an encoder it counts whether the Ray that this process is connected to, if to any, has GPUs.
    """
    size = feature_bytes(feature_files)
    about = f"{size / 2**20:.0f} MiB of features"
    workers = min(max(spec.num_workers, math.ceil(size / PROCESS_BYTES)), len(feature_files))
    if spec.trainer == "process":
        return "process", 1, f"the task file says so ({about})"
    if spec.trainer == "ray":
        return "ray", workers, f"the task file says so ({about})"
    if spec.num_workers > 1:
        return "ray", workers, f"num_workers is {spec.num_workers} ({about})"
    if size > PROCESS_BYTES:
        return "ray", workers, f"{about}, more than {PROCESS_BYTES >> 20} MiB"
    if spec.head != "fine_tune":
        return "process", 1, f"{about} fit in this process, and the task file asks for no workers"
    if _has_gpu():
        return "process", 1, f"{about} fit in this process, which has a GPU"
    if _cluster_has_gpu():
        return "ray", workers, f"the cluster has a GPU to fine-tune on, and this process has none ({about})"
    return "process", 1, f"{about} fit in this process, and neither it nor a cluster that it is connected to has a GPU"


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _cluster_has_gpu() -> bool:
    import ray

    return bool(ray.is_initialized() and ray.cluster_resources().get("GPU", 0) > 0)


def _learned_heldout(trained: Trained) -> bool:
    """Say whether the weights are others than those that held-out rows chose."""
    if isinstance(trained, NetworkTrained) or (trained.self_training is not None and trained.self_training.kept):
        return False
    used = np.flatnonzero(trained.scales)
    chosen = safety.best_of(trained.progress.tried).choice.weights
    return not np.array_equal(trained.weights[[*used, -1]], chosen)


def _warnings(trained: Trained, class_names: Sequence[str]) -> tuple[str, ...]:
    found = []
    if not trained.num_heldout:
        found.append(
            f"{trained.num_rows} rows are too few to hold some out: regularization and epoch "
            "are not chosen, the second strongest is taken"
        )
    lost = safety.warning(trained.progress.tried, class_names)
    by_loss = safety.best_of(trained.progress.tried).choice.by_loss
    if lost is not None:
        found.append(lost)
    elif by_loss is not None and by_loss.collapsed and not trained.chosen.collapsed:
        names = ", ".join(class_names[c] for c in by_loss.collapsed)
        found.append(
            f"the best held-out loss, at regularization {by_loss.regularization:g}, hardly ever predicts {names}; "
            f"regularization {trained.chosen.regularization:g} is taken instead, which does"
        )
    return tuple(found)
