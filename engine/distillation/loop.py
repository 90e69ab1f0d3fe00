"""The train loop: limited-memory BFGS over a path of regularizations, from strong to weak.

It runs in this process and on the workers of Ray Train alike. Each holds its rows; the gradient is a sum over rows,
added up by `Group.total`, and the direction comes from rank 0. All branches depend on values that every worker has
to the last bit, so that workers never part ways. Nothing is drawn here: the start is zero and every step uses all
rows, so the same rows in the same files give the same weights.

Reference: Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 and 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from engine.distillation.choice import Candidate, Choice
from engine.distillation.groups import Group
from engine.distillation.judge import Judge, Scores
from engine.distillation.lbfgs import History
from engine.distillation.losses import Loss
from engine.distillation.rows import Rows
from engine.distillation.safety import Tried
from operators.end_model import scores_of
from operators.schema import Floats

_HALVINGS = 20
_SUFFICIENT = 1e-4
"""Share of the decrease that the slope promises, below which a step is halved."""

_FLAT = 1e-6
"""A round ends when a step improves the objective by less than this share of it."""

_PATIENCE = 8
"""A round ends after so many epochs without a better held-out loss."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where the training stands after a round; what a checkpoint holds.

    Attributes:
        rounds: regularizations that are done.
        weights: (d + 1, k), the bias last; where the next round starts.
        choice: the best weights so far.
        candidates: all that was measured on held-out rows.
        tried: what the settings before this one came to; see `safety`.
    """

    rounds: int
    weights: Floats
    choice: Choice
    candidates: list[Candidate] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)

    @classmethod
    def start(cls, num_features: int, num_classes: int) -> Progress:
        """Start from zero weights."""
        weights = np.zeros((num_features + 1, num_classes))
        return cls(rounds=0, weights=weights, choice=Choice.none(weights))

    def restart(self) -> None:
        """Start again from zero weights, for another setting."""
        self.rounds, self.weights = 0, np.zeros_like(self.weights)
        self.choice = Choice.none(self.weights)


def train(
    rows: Rows,
    heldout: Rows,
    *,
    judged: Rows | None = None,
    regularization: tuple[float, ...],
    epochs: int,
    progress: Progress,
    group: Group,
    on_round: Callable[[Progress], None],
    loss: Loss | None = None,
    factors: Floats | None = None,
    on_candidate: Callable[[Candidate, Scores], None] | None = None,
) -> Progress:
    """Minimise the loss on soft labels plus an L2 penalty, once a regularization, each from the one before.

    Args:
        rows: of this worker; features already weighted, targets and weights set for the loss.
        heldout: of this worker; what is predicted of them is counted by class.
        judged: the same rows, thinned as those to train on are; their loss chooses regularization and epoch. The
            rows as they are unless given.
        regularization: L2 weights, relative to the mean loss of a row, falling.
        epochs: passes over the rows at most, a regularization.
        progress: where to go on; changed in place.
        group: whom to train with.
        on_round: called after each regularization, on every worker.
        loss: of a row; cross entropy unless told. Held-out rows are judged by cross entropy in any case.
        factors: (d, k) of the penalty of each weight; 1 unless told.
        on_candidate: called with each candidate and its (h, k) scores of this worker's held-out rows.
    """
    objective = _Objective(rows, group, loss or Loss(), factors)
    judge = Judge(heldout, judged or heldout, group, on_candidate)
    for penalty in regularization[progress.rounds :]:
        _round(objective, judge, progress, penalty=penalty, epochs=epochs, group=group)
        progress.rounds += 1
        on_round(progress)
    return progress


def retrain(
    rows: Rows,
    *,
    regularization: tuple[float, ...],
    epochs: int,
    last_epochs: int,
    group: Group,
    loss: Loss,
    factors: Floats | None,
) -> Floats:
    """Train as `train` does, on all rows and with nothing to choose; returns (d + 1, k) weights.

    Args:
        rows: see `train`.
        regularization: falling, the chosen one last.
        epochs: passes at most for each of the others.
        last_epochs: passes at most for the chosen one.
        group: see `train`.
        loss: see `train`.
        factors: see `train`.
    """
    objective = _Objective(rows, group, loss, factors)
    weights = np.zeros((rows.features.shape[1] + 1, rows.soft.shape[1]))
    for penalty in regularization:
        most = last_epochs if penalty == regularization[-1] else epochs
        for step in _steps(objective, weights, penalty=penalty, epochs=most, group=group):
            weights = step[0]
    return weights


def _round(
    objective: _Objective, judge: Judge, progress: Progress, *, penalty: float, epochs: int, group: Group
) -> None:
    if progress.choice.best is None:
        # The start is a candidate too: where no step helps it is all there is.
        value, _ = objective(progress.weights, penalty)
        candidate = judge(progress.weights, regularization=penalty, epoch=0, train_loss=value)
        progress.candidates.append(candidate)
        progress.choice.offer(candidate, progress.weights)
    best, waited, weights = np.inf, 0, progress.weights
    steps = _steps(objective, weights, penalty=penalty, epochs=epochs, group=group)
    for epoch, (weights, value) in enumerate(steps, 1):
        candidate = judge(weights, regularization=penalty, epoch=epoch, train_loss=value)
        progress.candidates.append(candidate)
        progress.choice.offer(candidate, weights)
        waited = 0 if candidate.heldout_loss < best else waited + 1
        best = min(best, candidate.heldout_loss)
        if waited >= _PATIENCE:
            break
    progress.weights = weights


def _steps(
    objective: _Objective, weights: Floats, *, penalty: float, epochs: int, group: Group
) -> Iterator[tuple[Floats, float]]:
    """Go down to the minimum; yields weights and objective after each pass."""
    history = History(weights.size, objective.inverse_curvature)
    value, gradient = objective(weights, penalty)
    for _ in range(epochs):
        # The smoothness of the mean loss over rows of length 1 and a bias is below 1, so a first step of 1 is safe, or
        # one of the halves of it where the penalty's factors stretch the direction.
        told = history.direction(gradient) if group.rank == 0 else np.zeros(weights.size + 1)
        told = group.from_first(told)
        direction, slope = told[:-1].reshape(weights.shape), float(told[-1])
        step = 1.0
        for _ in range(_HALVINGS):
            new = weights + step * direction
            new_value, new_gradient = objective(new, penalty)
            if new_value <= value + _SUFFICIENT * step * slope:
                break
            step /= 2
        else:
            return  # No step helps: the minimum, to the precision of the features.
        if group.rank == 0:
            history.add(new - weights, new_gradient - gradient)
        flat = value - new_value < _FLAT * abs(value)
        weights, value, gradient = new, new_value, new_gradient
        yield weights, value
        if flat:
            return


class _Objective:
    """Mean loss plus penalty, and its gradient, over the rows of all workers."""

    def __init__(self, rows: Rows, group: Group, loss: Loss, factors: Floats | None) -> None:
        self._rows, self._group, self._loss = rows, group, loss
        self._factors = 1.0 if factors is None else factors
        self.inverse_curvature = None
        if factors is not None:
            # Most features are rare, and the penalty is all that holds their weights. The bias has none.
            self.inverse_curvature = 1.0 / np.concatenate([factors, np.ones((1, factors.shape[1]))])
        self._targets = rows.soft if rows.targets is None else rows.targets
        self._weight = float(group.total(np.array([rows.total_weight]))[0])
        self._transposed = rows.features.T

    def __call__(self, weights: Floats, penalty: float) -> tuple[float, Floats]:
        scores = scores_of(self._rows.features, weights)
        values, errors = self._loss.values_and_errors(scores.astype(np.float64), self._targets)
        if self._rows.weights is not None:
            values, errors = values * self._rows.weights, errors * self._rows.weights[:, None]
        loss = values.sum()
        error = (errors / self._weight).astype(np.float32)
        parts = np.empty(weights.size + 1)
        gradient = parts[:-1].reshape(weights.shape)
        gradient[:-1] = self._transposed @ error
        gradient[-1] = error.sum(axis=0, dtype=np.float64)
        parts[-1] = loss / self._weight
        if self._group.rank == 0:  # Once for all workers, the bias free.
            pull = penalty * self._factors * weights[:-1]
            gradient[:-1] += pull
            parts[-1] += (pull * weights[:-1]).sum() / 2
        total = self._group.total(parts)
        return float(total[-1]), total[:-1].reshape(weights.shape)
