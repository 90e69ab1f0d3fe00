"""The linear head with one setting after the other, over one split of the rows or several."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from engine.distillation.calibration import best_temperature
from engine.distillation.choice import Candidate, Choice, class_shares
from engine.distillation.dropout import thinned, thinned_heldout
from engine.distillation.folds import Split, pooled
from engine.distillation.groups import Group
from engine.distillation.judge import Scores
from engine.distillation.loop import Progress, retrain, train
from engine.distillation.ratios import penalty_factors
from engine.distillation.rows import Rows, joined
from engine.distillation.safety import Setting, Tried, best_of, settings
from engine.distillation.self_training import SelfTraining, learn_from_uncovered
from operators.end_model import scores_of
from operators.features import Sparse
from operators.schema import Floats

if TYPE_CHECKING:
    from engine.distillation.job import Job

_MOST_WEIGHTS = 2_000_000
"""Of a training that others may run beside in threads; it takes two hundred bytes a weight."""


class LinearTraining:
    """The rows of this process, and what can be done with them."""

    def __init__(
        self,
        job: Job,
        splits: tuple[Split, ...],
        *,
        shares: Floats,
        group: Group,
        on_round: Callable[[Progress], None],
    ) -> None:
        """Set up a training.

        Args:
            job: the same for all workers.
            splits: what is trained on and what is held out, one or more.
            shares: (k,) mean soft label of all rows.
            group: whom to train with.
            on_round: see `loop.train`; of a single split, since those of few rows are trained anew in seconds.
        """
        self._job, self._splits, self._shares = job, splits, shares
        self._group, self._on_round = group, on_round
        self._factors = [self._factors_of(split.rows) for split in splits]
        self._heldout: dict[str, Scores] = {}

    def safest(self, progress: Progress) -> Tried:
        """Train with the task's setting, and with safer ones while a class is lost; `progress` knows them all."""
        if len(self._splits) > 1:
            # A checkpoint does not hold what each part says of its held-out rows.
            progress.tried.clear()
            progress.candidates.clear()
        for setting in settings(self._job.regularization, self._job.loss)[len(progress.tried) :]:
            if progress.tried and not progress.tried[-1].lost:
                break
            choice = self._chosen(setting, progress)
            progress.tried.append(self._judged(setting, choice, self._scores(setting, choice)))
            progress.restart()
        return best_of(progress.tried)

    def heldout(self, tried: Tried) -> tuple[Scores, Scores]:
        """Return the (h, k) scores of this worker's held-out rows, each by a model that did not see it, and labels."""
        soft = np.concatenate([split.heldout.soft for split in self._splits])
        return self._scores(tried.setting, tried.choice), soft

    def retrained(self, tried: Tried) -> Floats:
        """Train on the held-out rows too, by what they chose; the same passes from the same start."""
        chosen = _best(tried.choice)
        whole = joined(self._splits[0].rows, self._splits[0].heldout)
        return self._retrained(whole, self._factors_of(whole), tried.setting, chosen)

    def self_trained(self, best: Tried, uncovered: Sparse, progress: Progress) -> tuple[Tried, SelfTraining]:
        """Train once more with the uncovered rows of which the model is sure; kept where held-out rows agree.

        There must be a single split.
        """
        (split,) = self._splits
        scores = scores_of(uncovered, best.choice.weights)
        own, soft = self.heldout(best)
        scores = scores / best_temperature(own, soft, self._group)
        more, taken = learn_from_uncovered(split.rows, uncovered, scores, self._group)
        if not taken:
            return best, SelfTraining(rows=0, kept=False, heldout_loss=None)
        chosen = _best(best.choice)
        path = tuple(r for r in best.setting.regularization if r >= chosen.regularization)
        setting = replace(best.setting, regularization=path)
        self._train(setting, replace(split, rows=more), self._factors[0], progress)
        again = self._judged(setting, progress.choice, scores_of(split.heldout.features, progress.choice.weights))
        found = _best(again.choice)
        kept = len(again.lost) <= len(best.lost) and found.heldout_loss < chosen.heldout_loss
        if kept:
            self._heldout.clear()
        return again if kept else best, SelfTraining(rows=taken, kept=kept, heldout_loss=found.heldout_loss)

    def _chosen(self, setting: Setting, progress: Progress) -> Choice:
        if len(self._splits) == 1:
            self._train(setting, self._splits[0], self._factors[0], progress)
            return progress.choice
        found: list[list[Candidate]] = []
        scores: list[dict[tuple[float, int], Scores]] = []

        def one(split: Split, factors: Floats | None) -> tuple[Progress, dict[tuple[float, int], Scores]]:
            own = Progress.start(split.rows.features.shape[1], self._job.num_classes)
            kept: dict[tuple[float, int], Scores] = {}
            self._train(setting, split, factors, own, kept)
            return own, kept

        threads = len(os.sched_getaffinity(0))
        if self._group.size > 1 or progress.weights.size > _MOST_WEIGHTS:
            # Workers add up in one order, and steps over many weights remember gigabytes.
            threads = 1
        with ThreadPoolExecutor(threads) as pool:
            for own, kept in pool.map(one, self._splits, self._factors):
                found.append(own.candidates)
                scores.append(kept)
        candidates = pooled(found, [split.num_heldout for split in self._splits])
        progress.candidates.extend(each.candidate for each in candidates)
        choice = Choice.none(progress.weights)
        for each in candidates:
            choice.offer(each.candidate, progress.weights)
        parts = next(each.parts for each in candidates if each.candidate is choice.best)
        pairs = zip(scores, parts, strict=True)
        self._heldout[setting.name] = np.concatenate([kept[part.regularization, part.epoch] for kept, part in pairs])
        return choice

    def _train(
        self,
        setting: Setting,
        split: Split,
        factors: Floats | None,
        progress: Progress,
        kept: dict[tuple[float, int], Scores] | None = None,
    ) -> None:
        """Train on a split; `kept` gets the held-out scores of each candidate, in half precision."""

        def keep(candidate: Candidate, scores: Scores) -> None:
            if kept is not None:
                kept[candidate.regularization, candidate.epoch] = scores.astype(np.float16)

        heldout = split.heldout.prepared(setting.loss, self._shares)
        train(
            self._thinned(split.rows).prepared(setting.loss, self._shares),
            heldout,
            judged=thinned_heldout(heldout, dropout=self._job.dropout, seed=(self._job.seed, self._group.rank)),
            regularization=setting.regularization,
            epochs=self._job.epochs,
            progress=progress,
            group=self._group,
            on_round=self._on_round if len(self._splits) == 1 else lambda _: None,
            loss=setting.loss,
            factors=factors,
            on_candidate=keep,
        )

    def _retrained(self, rows: Rows, factors: Floats | None, setting: Setting, chosen: Candidate) -> Floats:
        return retrain(
            self._thinned(rows).prepared(setting.loss, self._shares),
            regularization=tuple(r for r in setting.regularization if r >= chosen.regularization),
            epochs=self._job.epochs,
            last_epochs=chosen.epoch,
            group=self._group,
            loss=setting.loss,
            factors=factors,
        )

    def _thinned(self, rows: Rows) -> Rows:
        return thinned(rows, dropout=self._job.dropout, seed=(self._job.seed, self._group.rank))

    def _scores(self, setting: Setting, choice: Choice) -> Scores:
        """Return the (h, k) scores of held-out rows, in the order of the splits."""
        if len(self._splits) == 1:
            return scores_of(self._splits[0].heldout.features, choice.weights)
        return self._heldout[setting.name].astype(np.float32)

    def _judged(self, setting: Setting, choice: Choice, scores: Scores) -> Tried:
        # Of held-out rows: those trained on a model knows by heart, a class that it will lose among them.
        soft = np.concatenate([split.heldout.soft for split in self._splits])
        predicted = np.bincount(scores.argmax(axis=1), minlength=soft.shape[1]).astype(np.float64)
        predicted, labeled = self._group.total(np.stack([predicted, class_shares(soft)]))
        total = max(1.0, float(predicted.sum()))
        return Tried(
            setting=setting,
            choice=choice,
            predicted=tuple((predicted / total).tolist()),
            labeled=tuple((labeled / total).tolist()),
            rows=int(predicted.sum()),
        )

    def _factors_of(self, rows: Rows) -> Floats | None:
        return penalty_factors(rows, self._group) if self._job.telling else None


def _best(choice: Choice) -> Candidate:
    assert choice.best is not None, "the start is always offered"
    return choice.best
