"""Choosing by all rows in turn, where rows are few.

A tenth of two thousand rows says little about which of two hundred candidates is best: another tenth takes another.
Here every row is held out once, from a training on the other parts, and the candidates of all parts are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.distillation.choice import Candidate
from engine.distillation.groups import Group
from engine.distillation.rows import Rows, joined
from operators.featurize import NUM_FOLDS

MOST_ROWS = 6000
"""Up to so many rows, of all workers, are held out in turn; with more, a tenth of them is enough to choose by."""

_PARTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rows of this worker to train on, and to choose by.

    Attributes:
        num_heldout: rows to choose by, of all workers.
    """

    rows: Rows
    heldout: Rows
    num_heldout: int


def splits_of(rows: Rows, heldout: Rows, *, group: Group, in_turn: bool) -> tuple[Split, ...]:
    """Say what is trained on and what is held out.

    Args:
        rows: of this worker, but for those held out.
        heldout: of this worker, those of the first fold.
        group: whose rows are counted.
        in_turn: whether all rows may be held out in turn, where they are few.

    Returns:
        one split, or several; none where there is nothing to choose by.
    """
    whole = joined(rows, heldout)
    part = whole.folds.astype(np.int64) * _PARTS // NUM_FOLDS
    counts = group.total(np.append(np.bincount(part, minlength=_PARTS), heldout.num_rows).astype(np.float64))
    counts, num_heldout = counts[:-1].astype(np.int64), int(counts[-1])
    used = np.flatnonzero(counts)
    if in_turn and counts.sum() <= MOST_ROWS and len(used) > 1:
        places = [part == number for number in used]
        return tuple(
            Split(rows=whole.taken(~place), heldout=whole.taken(place), num_heldout=int(counts[number]))
            for number, place in zip(used, places, strict=True)
        )
    if 0 < num_heldout < counts.sum():
        return (Split(rows=rows, heldout=heldout, num_heldout=num_heldout),)
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """A candidate of several splits.

    Attributes:
        candidate: means over all held-out rows.
        parts: what it is in each split.
    """

    candidate: Candidate
    parts: tuple[Candidate, ...]


def pooled(found: Sequence[Sequence[Candidate]], rows: Sequence[int]) -> list[Pooled]:
    """Put the candidates of several splits together: means over held-out rows.

    Args:
        found: of each split, in the order in which they were trained, the start first.
        rows: held out, of each split.

    Returns:
        one for every regularization and epoch that any split has. A split that ended a regularization earlier stands
        there with its last epoch.
    """
    path = list(dict.fromkeys(c.regularization for candidates in found for c in candidates))
    last = {penalty: max(c.epoch for cs in found for c in cs if c.regularization == penalty) for penalty in path}
    out, standing = [], [candidates[0] for candidates in found]
    known = [{(c.regularization, c.epoch): c for c in candidates} for candidates in found]
    share = np.asarray(rows) / sum(rows)
    for penalty in path:
        for epoch in range(min(1, last[penalty]) if penalty != path[0] else 0, last[penalty] + 1):
            standing = [of_split.get((penalty, epoch), now) for of_split, now in zip(known, standing, strict=True)]
            mean = Candidate(
                regularization=penalty,
                epoch=epoch,
                train_loss=float(share @ [c.train_loss for c in standing]),
                heldout_loss=float(share @ [c.heldout_loss for c in standing]),
                predicted_shares=_mean(share, [c.predicted_shares for c in standing]),
                label_shares=_mean(share, [c.label_shares for c in standing]),
            )
            out.append(Pooled(candidate=mean, parts=tuple(standing)))
    return out


def _mean(share: npt.NDArray[np.float64], of_splits: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple((share @ np.array(of_splits)).tolist())
