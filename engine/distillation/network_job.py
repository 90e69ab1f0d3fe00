"""The part of a network's training that one process does, as `job.do_job` is for the linear model.

The same order of things: read the files, train, train more safely where a class is lost, calibrate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from engine.distillation.calibration import best_temperature, reliability
from engine.distillation.choice import Choice, class_shares
from engine.distillation.groups import Group
from engine.distillation.job import scales_of
from engine.distillation.minibatch import Trainer
from engine.distillation.network_spec import NetworkJob, NetworkProgress, NetworkTrained
from engine.distillation.networks import Network, flat, make, put, tensors
from engine.distillation.rows import Rows, read_rows
from engine.distillation.safety import Setting, Tried, best_of, settings
from operators.features import document_frequencies, weighted
from operators.schema import Floats
from operators.storage import Folder


def do_network_job(
    job: NetworkJob,
    files: Sequence[Folder],
    *,
    group: Group,
    progress: NetworkProgress | None,
    on_round: Callable[[NetworkProgress], None],
) -> NetworkTrained:
    """Do this process's part of a training; the arguments are those of `job.do_job`."""
    k, tuned = job.num_classes, job.network.encoder is not None
    rows, heldout, _ = read_rows(files, num_features=job.num_features, num_classes=k)
    sums = rows.soft.sum(axis=0, dtype=np.float64) + heldout.soft.sum(axis=0, dtype=np.float64)
    counts = np.zeros(0) if tuned else document_frequencies(rows.features) + document_frequencies(heldout.features)
    told = group.total(np.concatenate([[rows.num_rows, heldout.num_rows], sums, counts.astype(np.float64)]))
    num_train, num_heldout = int(told[0]), int(told[1])
    shares = told[2 : 2 + k] / max(1, num_train + num_heldout)
    scales, used = np.zeros(0), np.zeros(0, np.int64)
    if not tuned:
        frequencies = told[2 + k :].astype(np.int64)
        scales = scales_of(frequencies, num_rows=num_train + num_heldout)
        used = np.flatnonzero(scales)
        rows = rows.with_features(weighted(rows.features, scales)[:, used])
        heldout = heldout.with_features(weighted(heldout.features, scales)[:, used])
    if not num_heldout or not num_train:
        # As in `do_job`: nothing to choose by.
        rows = heldout = rows if num_train else heldout
        job = replace(job, regularization=(sorted(job.regularization, reverse=True)[:2][-1],))
    network = make(job.network, num_features=len(used), class_names=job.class_names)
    start = flat(network)
    progress = progress or NetworkProgress(rounds=0, weights=start, choice=Choice.none(start))
    work = _Work(job, network, rows, heldout, start=start, shares=shares, group=group)
    best = work.safest(progress, on_round)
    chosen = best.choice.best
    assert chosen is not None, "there is a pass at least"
    put(network, best.choice.weights)
    scores = network.scores(heldout.features)
    temperature = best_temperature(scores, heldout.soft, group) if num_heldout and num_train else 1.0
    return NetworkTrained(
        progress=progress,
        weights=best.choice.weights,
        chosen=chosen,
        scales=scales,
        num_rows=num_train + num_heldout,
        num_heldout=num_heldout if num_train else 0,
        soft_shares=tuple(shares.tolist()),
        temperature=temperature,
        bins=reliability(scores / temperature, heldout.soft, group),
        self_training=None,
        tensors=tensors(network),
        used=used,
    )


class _Work:
    """The rows of this process, and the network that is trained on them."""

    def __init__(
        self,
        job: NetworkJob,
        network: Network,
        rows: Rows,
        heldout: Rows,
        *,
        start: Floats,
        shares: Floats,
        group: Group,
    ) -> None:
        self._job, self._network, self._rows, self._heldout = job, network, rows, heldout
        self._start, self._shares, self._group = start, shares, group

    def safest(self, progress: NetworkProgress, on_round: Callable[[NetworkProgress], None]) -> Tried:
        """Train with the task's setting, and with safer ones while a class is lost; `progress` knows them all."""
        for setting in self._settings()[len(progress.tried) :]:
            if progress.tried and not progress.tried[-1].lost:
                break
            progress.tried.append(self._try(setting, progress, on_round))
            progress.rounds, progress.weights, progress.choice = 0, self._start, Choice.none(self._start)
        return best_of(progress.tried)

    def _settings(self) -> tuple[Setting, ...]:
        own, weaker, balanced = settings(self._job.regularization, self._job.loss)
        if self._job.network.encoder is None:
            return own, weaker, balanced
        # Weight decay hardly moves an encoder, and each try takes as long as the first.
        return own, replace(balanced, regularization=own.regularization)

    def _try(self, setting: Setting, progress: NetworkProgress, on_round: Callable[[NetworkProgress], None]) -> Tried:
        put(self._network, self._start)
        trainer = Trainer(
            self._network,
            self._rows.prepared(setting.loss, self._shares),
            self._heldout.prepared(setting.loss, self._shares),
            spec=self._job.network,
            epochs=self._job.epochs,
            loss=setting.loss,
            group=self._group,
            attempt=len(progress.tried),
            dropout=self._job.dropout,
        )
        trainer.train(setting.regularization, progress, on_round)
        put(self._network, progress.choice.weights)
        k = self._job.num_classes
        # Of held-out rows, as for the linear model.
        scores = self._network.scores(self._heldout.features)
        predicted = np.bincount(scores.argmax(axis=1), minlength=k).astype(np.float64)
        predicted, labeled = self._group.total(np.stack([predicted, class_shares(self._heldout.soft)]))
        total = max(1.0, float(predicted.sum()))
        return Tried(
            setting=setting,
            choice=progress.choice,
            predicted=tuple((predicted / total).tolist()),
            labeled=tuple((labeled / total).tolist()),
            rows=int(predicted.sum()),
        )
