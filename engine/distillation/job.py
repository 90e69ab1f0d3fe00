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
from engine.distillation.groups import Group
from engine.distillation.loop import Progress, retrain, train
from engine.distillation.losses import Loss
from engine.distillation.ratios import penalty_factors
from engine.distillation.rows import Rows, joined, read_rows
from engine.distillation.safety import Setting, Tried, best_of, class_shares, settings
from engine.distillation.self_training import SelfTraining, learn_from_uncovered
from operators.end_model import scores_of
from operators.features import Sparse, document_frequencies, weighted
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
    first_columns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """The outcome, the same on every worker.

    Attributes:
        progress: where training ended, with what every setting came to.
        weights: (d + 1, k) chosen, the bias last.
        chosen: as held-out rows see them.
        scales: (d,) 1 for the features that count, 0 for the others.
        num_train: rows trained on, of all workers.
        num_heldout: rows held out, of all workers.
        soft_shares: (k,) mean soft label of all rows.
        temperature: to divide scores by; 1 where no row is held out.
        bins: calibrated confidence of held-out rows beside their soft labels.
        self_training: what uncovered rows brought, None where they were not to be learned from.
    """

    progress: Progress
    weights: Floats
    chosen: Candidate
    scales: Floats
    num_train: int
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
    num_train, num_heldout = int(told[0]), int(told[1])
    frequencies = told[2 + job.num_classes :].astype(np.int64)
    scales = scales_of(frequencies, num_rows=num_train + num_heldout)
    if job.first_columns is not None:
        scales[job.first_columns :] = 0
    shares = told[2 : 2 + job.num_classes] / max(1, num_train + num_heldout)
    # Hashing leaves most buckets of a small corpus empty: their weights stay zero, and steps need not carry them.
    used = np.flatnonzero(scales)
    rows = Rows(features=weighted(rows.features, scales)[:, used], soft=rows.soft)
    heldout = Rows(features=weighted(heldout.features, scales)[:, used], soft=heldout.soft)
    if not num_heldout or not num_train:
        # A handful of rows that fell on one side: nothing to choose by, so the second strongest and its last epoch,
        # since with few rows the danger is to learn them by heart.
        rows = heldout = rows if num_train else heldout
        job = replace(job, regularization=(sorted(job.regularization, reverse=True)[:2][-1],))
    progress = progress or Progress.start(len(used), job.num_classes)
    work = _Work(job, rows, heldout, shares=shares, group=group, on_round=on_round)
    best = work.safest(progress)
    learned = None
    if job.self_training:
        best, learned = work.self_trained(best, weighted(uncovered, scales)[:, used], progress)
    weights, chosen = best.choice.weights, best.choice.best
    assert chosen is not None, "the start is always offered"
    scores = scores_of(heldout.features, weights)
    temperature = best_temperature(scores, heldout.soft, group) if num_heldout and num_train else 1.0
    if num_heldout and 0 < num_train <= _RETRAIN_ROWS and not (learned and learned.kept):
        weights = work.retrained(best.setting, chosen)
    whole = np.zeros((job.num_features + 1, job.num_classes))
    whole[used], whole[-1] = weights[:-1], weights[-1]
    return Trained(
        progress=progress,
        weights=whole,
        chosen=chosen,
        scales=scales,
        num_train=num_train,
        num_heldout=num_heldout,
        soft_shares=tuple(shares.tolist()),
        temperature=temperature,
        bins=reliability(scores / temperature, heldout.soft, group),
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


class _Work:
    """The rows of this process, and what can be done with them."""

    def __init__(
        self,
        job: Job,
        rows: Rows,
        heldout: Rows,
        *,
        shares: Floats,
        group: Group,
        on_round: Callable[[Progress], None],
    ) -> None:
        self._job, self._rows, self._heldout = job, rows, heldout
        self._shares, self._group, self._on_round = shares, group, on_round
        self._factors = penalty_factors(rows, group) if job.telling else None

    def safest(self, progress: Progress) -> Tried:
        """Train with the task's setting, and with safer ones while a class is lost; `progress` knows them all."""
        for setting in settings(self._job.regularization, self._job.loss)[len(progress.tried) :]:
            if progress.tried and not progress.tried[-1].lost:
                break
            progress.tried.append(self._try(setting, self._rows, progress))
            progress.restart()
        return best_of(progress.tried)

    def retrained(self, setting: Setting, chosen: Candidate) -> Floats:
        """Train on the held-out rows too, by what they chose; the same passes from the same start."""
        return retrain(
            joined(self._rows, self._heldout).prepared(setting.loss, self._shares),
            regularization=tuple(r for r in setting.regularization if r >= chosen.regularization),
            epochs=self._job.epochs,
            last_epochs=chosen.epoch,
            group=self._group,
            loss=setting.loss,
            factors=self._factors,
        )

    def self_trained(self, best: Tried, uncovered: Sparse, progress: Progress) -> tuple[Tried, SelfTraining]:
        """Train once more with the uncovered rows of which the model is sure; kept where held-out rows agree."""
        scores = scores_of(uncovered, best.choice.weights)
        scores = scores / best_temperature(
            scores_of(self._heldout.features, best.choice.weights), self._heldout.soft, self._group
        )
        more, taken = learn_from_uncovered(self._rows, uncovered, scores, self._group)
        if not taken:
            return best, SelfTraining(rows=0, kept=False, heldout_loss=None)
        chosen = best.choice.best
        assert chosen is not None, "the start is always offered"
        path = tuple(r for r in best.setting.regularization if r >= chosen.regularization)
        again = self._try(replace(best.setting, regularization=path), more, progress)
        found = again.choice.best
        assert found is not None, "the start is always offered"
        kept = len(again.lost) <= len(best.lost) and found.heldout_loss < chosen.heldout_loss
        return again if kept else best, SelfTraining(rows=taken, kept=kept, heldout_loss=found.heldout_loss)

    def _try(self, setting: Setting, rows: Rows, progress: Progress) -> Tried:
        train(
            rows.prepared(setting.loss, self._shares),
            self._heldout.prepared(setting.loss, self._shares),
            regularization=setting.regularization,
            epochs=self._job.epochs,
            progress=progress,
            group=self._group,
            on_round=self._on_round,
            loss=setting.loss,
            factors=self._factors,
        )
        k = self._job.num_classes
        # Of held-out rows: those trained on a model knows by heart, a class that it will lose among them.
        predicted = class_shares(scores_of(self._heldout.features, progress.choice.weights), k)
        predicted, labeled = self._group.total(np.stack([predicted, class_shares(self._heldout.soft, k)]))
        total = max(1.0, float(labeled.sum()))
        return Tried(
            setting=setting,
            choice=progress.choice,
            predicted=tuple((predicted / total).tolist()),
            labeled=tuple((labeled / total).tolist()),
            rows=int(labeled.sum()),
        )
