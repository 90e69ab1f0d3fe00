"""The part of a training that one process does: read its files, weigh the features, run the loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.distillation.groups import Group
from engine.distillation.loop import Progress, train
from engine.distillation.rows import Rows, read_rows
from operators.features import document_frequencies, inverse_document_frequencies, weighted
from operators.schema import Floats
from operators.storage import Folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to train on what; plain values, sent to workers.

    Attributes:
        files: featurized shards, in the order in which they are dealt out.
        num_features: d.
        num_classes: k.
        regularization: falling.
        epochs: a regularization, at most.
    """

    files: tuple[Folder, ...]
    num_features: int
    num_classes: int
    regularization: tuple[float, ...]
    epochs: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """The outcome, the same on every worker.

    Attributes:
        idf: (d,) weights of the features.
        num_train: rows trained on, of all workers.
        num_heldout: rows held out, of all workers.
        soft_shares: (k,) mean soft label of all rows.
    """

    progress: Progress
    idf: Floats
    num_train: int
    num_heldout: int
    soft_shares: tuple[float, ...]


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
    rows, heldout = read_rows(files, num_features=job.num_features, num_classes=job.num_classes)
    counts = document_frequencies(rows.features) + document_frequencies(heldout.features)
    sums = rows.soft.sum(axis=0, dtype=np.float64) + heldout.soft.sum(axis=0, dtype=np.float64)
    told = group.total(np.concatenate([[rows.num_rows, heldout.num_rows], sums, counts.astype(np.float64)]))
    num_train, num_heldout = int(told[0]), int(told[1])
    frequencies = told[2 + job.num_classes :].astype(np.int64)
    idf = inverse_document_frequencies(frequencies, num_rows=num_train + num_heldout)
    rows = Rows(features=weighted(rows.features, idf), soft=rows.soft)
    heldout = Rows(features=weighted(heldout.features, idf), soft=heldout.soft)
    regularization = job.regularization
    if not num_heldout or not num_train:
        # A handful of rows that fell on one side: nothing to choose by, so the middle of the path and its last epoch.
        rows = heldout = rows if num_train else heldout
        regularization = (regularization[len(regularization) // 2],)
    progress = train(
        rows,
        heldout,
        regularization=regularization,
        epochs=job.epochs,
        progress=progress or Progress.start(job.num_features, job.num_classes),
        group=group,
        on_round=on_round,
    )
    shares = told[2 : 2 + job.num_classes] / max(1, num_train + num_heldout)
    return Trained(
        progress=progress,
        idf=idf,
        num_train=num_train,
        num_heldout=num_heldout,
        soft_shares=tuple(shares.tolist()),
    )
