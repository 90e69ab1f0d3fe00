"""The part of a training that one process does: read its files, weigh the features, run the loop.

The loop runs once, and again where its outcome has lost a class (`safety`) or uncovered rows are to be learned from
(`self_training`); each start and end depends on values that all workers share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine.distillation.calibration import ReliabilityBin, best_temperature, reliability
from engine.distillation.choice import Candidate
from engine.distillation.folds import Split, splits_of
from engine.distillation.groups import Group
from engine.distillation.linear import LinearTraining
from engine.distillation.loop import Progress
from engine.distillation.losses import Loss
from engine.distillation.rows import joined, read_rows
from engine.distillation.self_training import SelfTraining
from operators.features import document_frequencies, weighted
from operators.schema import Counts, Floats
from operators.storage import Folder

_FEW_ROWS = 100
"""Below so many rows a feature of a single one is not left out."""

_RETRAIN_ROWS = 100_000
"""Up to so many, held-out rows are learned from in the end, once they have chosen: a tenth more of few rows helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to train on what; plain values, sent to workers.

    Attributes:
        files: featurized shards, in the order in which they are dealt out.
        num_features: d.
        num_classes: k.
        regularization: falling.
        epochs: a regularization, at most.
        loss: of a row.
        self_training: whether uncovered rows in the files are learned from.
        telling: whether the penalty follows how telling a feature is; see `ratios`.
        dropout: share of a row's features that is left out in training; see `dropout`.
        seed: of what is left out.
        first_columns: only so many of the features count, the first; all of them unless given.
    """

    files: tuple[Folder, ...]
    num_features: int
    num_classes: int
    regularization: tuple[float, ...]
    epochs: int
    loss: Loss = field(default_factory=Loss)
    self_training: bool = False
    telling: bool = False
    dropout: float = 0.0
    seed: int = 0
    first_columns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """The outcome, the same on every worker.

    Attributes:
        progress: where training ended, with what every setting came to.
        weights: (d + 1, k) chosen, the bias last.
        chosen: as held-out rows see them.
        scales: (d,) 1 for the features that count, 0 for the others.
        num_rows: with a soft label, of all workers.
        num_heldout: of them that were held out to choose by: some, all in turn, or 0 where there were too few.
        soft_shares: (k,) mean soft label of all rows.
        temperature: to divide scores by; 1 where no row was held out.
        bins: calibrated confidence of held-out rows beside their soft labels.
        self_training: what uncovered rows brought, None where they were not to be learned from.
    """

    progress: Progress
    weights: Floats
    chosen: Candidate
    scales: Floats
    num_rows: int
    num_heldout: int
    soft_shares: tuple[float, ...]
    temperature: float
    bins: tuple[ReliabilityBin, ...]
    self_training: SelfTraining | None


def do_job(
    job: Job,
    files: Sequence[Folder],
    *,
    group: Group,
    progress: Progress | None,
    on_round: Callable[[Progress], None],
) -> Trained:
    """Do this process's part of a training.

    Args:
        job: the same for all.
        files: this process's share of `job.files`.
        group: whom to train with.
        progress: from a checkpoint, None to start.
        on_round: see `loop.train`.
    """
    rows, heldout, uncovered = read_rows(files, num_features=job.num_features, num_classes=job.num_classes)
    counts = document_frequencies(rows.features) + document_frequencies(heldout.features)
    sums = rows.soft.sum(axis=0, dtype=np.float64) + heldout.soft.sum(axis=0, dtype=np.float64)
    told = group.total(np.concatenate([[rows.num_rows, heldout.num_rows], sums, counts.astype(np.float64)]))
    num_rows = int(told[0] + told[1])
    frequencies = told[2 + job.num_classes :].astype(np.int64)
    scales = scales_of(frequencies, num_rows=num_rows)
    if job.first_columns is not None:
        scales[job.first_columns :] = 0
    shares = told[2 : 2 + job.num_classes] / max(1, num_rows)
    # Hashing leaves most buckets of a small corpus empty: their weights stay zero, and steps need not carry them.
    used = np.flatnonzero(scales)
    rows = rows.with_features(weighted(rows.features, scales)[:, used])
    heldout = heldout.with_features(weighted(heldout.features, scales)[:, used])
    splits = splits_of(rows, heldout, group=group, in_turn=not job.self_training)
    num_heldout = sum(split.num_heldout for split in splits)
    if not splits:
        # A handful of rows that fell on one side: nothing to choose by, so the second strongest and its last epoch,
        # since with few rows the danger is to learn them by heart.
        whole = joined(rows, heldout)
        splits = (Split(rows=whole, heldout=whole, num_heldout=num_rows),)
        job = replace(job, regularization=(sorted(job.regularization, reverse=True)[:2][-1],))
    progress = progress or Progress.start(len(used), job.num_classes)
    training = LinearTraining(job, splits, shares=shares, group=group, on_round=on_round)
    best = training.safest(progress)
    learned = None
    if job.self_training:
        best, learned = training.self_trained(best, weighted(uncovered, scales)[:, used], progress)
    chosen = best.choice.best
    assert chosen is not None, "the start is always offered"
    scores, soft = training.heldout(best)
    temperature = best_temperature(scores, soft, group) if num_heldout else 1.0
    weights = best.choice.weights
    if num_heldout and num_rows <= _RETRAIN_ROWS and not (learned and learned.kept):
        weights = training.retrained(best)
    all_weights = np.zeros((job.num_features + 1, job.num_classes))
    all_weights[used], all_weights[-1] = weights[:-1], weights[-1]
    return Trained(
        progress=progress,
        weights=all_weights,
        chosen=chosen,
        scales=scales,
        num_rows=num_rows,
        num_heldout=num_heldout,
        soft_shares=tuple(shares.tolist()),
        temperature=temperature,
        bins=reliability(scores / temperature, soft, group),
        self_training=learned,
    )


def scales_of(frequencies: Counts, *, num_rows: int) -> Floats:
    """Say which features count: 1, or 0 for those of a single row where rows are many.

    Weighing by rarity made every model worse by held-out soft labels: a text is brought to one length, and rare words
    leave those that tell less of it.

    Args:
        frequencies: (d,) rows in which each occurs.
        num_rows: of all.
    """
    least = 1 if num_rows < _FEW_ROWS else 2
    return (frequencies >= least).astype(np.float64)
