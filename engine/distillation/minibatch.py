"""The train loop of networks: Adam over small batches, chosen among by held-out soft labels.

It runs in this process and on the workers of Ray Train alike: each takes its share of the rows of a step, and the
gradients are added up. The order of rows, what dropout leaves out and the first weights follow from the seed, so the
same rows on as many workers give the same weights, also where a training was cut off and went on.

Reference: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019).
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from engine.distillation.batches import batches_of
from engine.distillation.calibration import least_loss, losses_by_temperature
from engine.distillation.choice import Candidate, class_shares
from engine.distillation.dropout import thinned_features, thinned_heldout
from engine.distillation.groups import Group
from engine.distillation.losses import Loss
from engine.distillation.network_spec import NetworkProgress, NetworkSpec
from engine.distillation.networks import Network, flat, put
from engine.distillation.rows import Rows

logger = logging.getLogger(__name__)

PASS_STEPS = 2000
"""A pass is over all rows, or so many steps of a longer one: what a kill may cost."""

_PATIENCE = 4
"""A regularization ends after so many passes without a better held-out loss, and the path after three without."""

_WARM = 0.06
"""Share of the steps of a fine-tuning over which its learning rate rises; it falls to zero over the rest."""

_LONGEST_GRADIENT = 1.0


class Trainer:
    """A network with the rows of this worker."""

    def __init__(
        self,
        network: Network,
        rows: Rows,
        heldout: Rows,
        *,
        spec: NetworkSpec,
        epochs: int,
        loss: Loss,
        group: Group,
        attempt: int,
        dropout: float = 0.0,
    ) -> None:
        """Set up a training.

        Args:
            network: see `networks.Network`; its weights are those that every regularization starts from.
            rows: to train on, targets and weights set for the loss.
            heldout: to choose by.
            spec: how steps are taken.
            epochs: passes over the rows at most, a regularization.
            loss: of a row.
            group: whom to train with.
            attempt: which setting this is, so that each draws otherwise.
            dropout: share of a row's features that is left out of a step, others each time; see `dropout`.
        """
        self._network, self._rows, self._heldout, self._spec = network, rows, heldout, spec
        self._loss, self._group, self._attempt, self._dropout = loss, group, attempt, dropout
        self._judged = thinned_heldout(heldout, dropout=dropout, seed=(spec.seed, group.rank))
        self._start = flat(network)
        mine = -(-rows.num_rows // max(1, -(-spec.batch_size // group.size)))
        places = group.total(np.eye(group.size)[group.rank] * mine)
        self._steps = int(places.max())  # Of an epoch: as many on every worker, whose rows may run out earlier.
        self._parts = max(1, -(-self._steps // PASS_STEPS))
        self._passes = epochs * self._parts

    def train(
        self, regularization: Sequence[float], progress: NetworkProgress, on_round: Callable[[NetworkProgress], None]
    ) -> None:
        """Train once a regularization, each from the start; `progress` is where to go on and is changed."""
        for number, penalty in enumerate(regularization):
            if number < progress.rounds:
                continue
            best = progress.choice.best
            if best is not None and number - list(regularization).index(best.regularization) > 3:
                break
            self._round(number, penalty, progress, on_round)
            progress.rounds, progress.passes, progress.optimizer = number + 1, 0, b""
            on_round(progress)

    def _round(
        self, number: int, penalty: float, progress: NetworkProgress, on_round: Callable[[NetworkProgress], None]
    ) -> None:
        put(self._network, progress.weights if progress.passes else self._start)
        optimizer = self._optimizer(penalty)
        if progress.passes:
            optimizer.load_state_dict(torch.load(io.BytesIO(progress.optimizer), weights_only=True))
        found = progress.candidates[-progress.passes :] if progress.passes else []
        best = min((c.heldout_loss for c in found), default=float("inf"))
        waited = len(found) - 1 - [c.heldout_loss for c in found].index(best) if found else 0
        while progress.passes < self._passes and waited < _PATIENCE:
            done = progress.passes
            train_loss = self._pass(optimizer, number, done)
            candidate = self._candidate(penalty, done + 1, train_loss)
            weights = flat(self._network)
            progress.candidates.append(candidate)
            progress.choice.offer(candidate, weights)
            waited = 0 if candidate.heldout_loss < best else waited + 1
            best = min(best, candidate.heldout_loss)
            progress.passes, progress.weights = done + 1, weights
            if self._spec.encoder is not None:
                # A hidden layer passes over its rows faster than a checkpoint is written.
                logger.info("distill: pass %d of %d, held-out loss %.4f", done + 1, self._passes, best)
                state = io.BytesIO()
                torch.save(optimizer.state_dict(), state)
                progress.optimizer = state.getvalue()
                on_round(progress)

    def _optimizer(self, penalty: float) -> torch.optim.Optimizer:
        # Biases and the scales of norms are left alone, as in the linear model.
        held = [p for p in self._network.parameters() if p.ndim > 1]
        free = [p for p in self._network.parameters() if p.ndim <= 1]
        groups = [{"params": held, "weight_decay": penalty}, {"params": free, "weight_decay": 0.0}]
        kind = torch.optim.Adam if self._spec.encoder is None else torch.optim.AdamW
        return kind(groups, lr=self._spec.learning_rate)

    def _pass(self, optimizer: torch.optim.Optimizer, number: int, done: int) -> float:
        """Take the steps of a pass; returns the mean loss of its rows."""
        epoch, part = divmod(done, self._parts)
        drawn = np.random.default_rng([self._spec.seed, self._attempt, number, epoch, self._group.rank])
        size = max(1, -(-self._spec.batch_size // self._group.size))
        lengths = np.diff(self._rows.features.indptr) if self._spec.encoder is not None else None
        batches = batches_of(self._rows.num_rows, size=size, lengths=lengths, rng=drawn)
        first, last = part * PASS_STEPS, min((part + 1) * PASS_STEPS, self._steps)
        sums = np.zeros(2)
        self._network.train()
        with torch.random.fork_rng():
            torch.manual_seed(int(drawn.integers(2**62)) + part)
            for step in range(first, last):
                for settings in optimizer.param_groups:
                    settings["lr"] = self._spec.learning_rate * self._pace(epoch * self._steps + step)
                batch = batches[step] if step < len(batches) else np.zeros(0, np.int64)
                sums += self._step(optimizer, batch, drawn)
        loss, weight = self._group.total(sums)
        return float(loss / weight)

    def _pace(self, step: int) -> float:
        if self._spec.encoder is None:
            return 1.0
        total = max(1, self._passes // self._parts * self._steps)
        warm = max(1.0, _WARM * total)
        return min((step + 1) / warm, (total - step) / max(1.0, total - warm))

    def _step(
        self, optimizer: torch.optim.Optimizer, batch: npt.NDArray[np.int64], drawn: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        optimizer.zero_grad()
        rows, sums = self._rows, np.zeros(2)
        targets = rows.soft if rows.targets is None else rows.targets
        for places in np.array_split(batch, self._spec.accumulate):
            if not len(places):
                continue
            features = rows.features[places]
            if self._dropout:
                features = thinned_features(features, dropout=self._dropout, rng=drawn)
            scores = self._network(features)
            given = scores.detach().cpu().numpy().astype(np.float64)
            values, errors = self._loss.values_and_errors(given, targets[places])
            weights = np.ones(len(places)) if rows.weights is None else rows.weights[places]
            torch.autograd.backward(scores, torch.from_numpy(errors * weights[:, None]).to(scores))
            sums += (values @ weights, weights.sum())
        self._share_gradients(float(sums[1]))
        if self._spec.encoder is not None:
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), _LONGEST_GRADIENT)
        optimizer.step()
        return sums

    def _share_gradients(self, weight: float) -> None:
        """Make the sums over this worker's rows means over those of all workers."""
        parameters = list(self._network.parameters())
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        if self._group.size == 1:
            for p in parameters:
                p.grad.div_(max(weight, 1e-12))  # type: ignore[union-attr]
            return
        given = torch.tensor([weight], device=parameters[0].device)
        sums = torch.cat([*(p.grad.reshape(-1) for p in parameters if p.grad is not None), given])
        self._group.add_up(sums)
        sums = sums[:-1] / sums[-1].clamp(min=1e-12)
        start = 0
        for p in parameters:
            p.grad = sums[start : start + p.numel()].reshape(p.shape)
            start += p.numel()

    def _candidate(self, penalty: float, number: int, train_loss: float) -> Candidate:
        rows, judged = self._heldout, self._judged
        scores = self._network.scores(rows.features)
        thin = scores if judged is rows else self._network.scores(judged.features)
        k = rows.soft.shape[1]
        losses = losses_by_temperature(thin, rows.soft if rows.targets is None else rows.targets, rows.weights)
        predicted = np.bincount(scores.argmax(axis=1), minlength=k).astype(np.float64)
        soft = class_shares(rows.soft)
        told = self._group.total(np.concatenate([predicted, soft, losses, [rows.num_rows, rows.total_weight]]))
        return Candidate(
            regularization=penalty,
            epoch=number,
            train_loss=train_loss,
            heldout_loss=least_loss(told[2 * k : -2]) / float(told[-1]),
            predicted_shares=tuple((told[:k] / told[-2]).tolist()),
            label_shares=tuple((told[k : 2 * k] / told[-2]).tolist()),
        )
