"""Noticing that a trained model has lost a class, and which settings to try then.

A model that predicts one class for nearly all rows can have a fair loss. Its predictions of held-out rows, counted by
class beside the label model's labels of the same rows, give it away without gold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.distillation.choice import LOST, Choice, least_share
from engine.distillation.losses import Loss

_FEWEST = 10
"""Held-out rows that the label model must give a class before anybody says that it is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to train; `name` says in words what is different from the task's own, "" for that."""

    name: str
    regularization: tuple[float, ...]
    loss: Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a setting came to.

    Attributes:
        predicted: (k,) share of held-out rows that the chosen weights predict to be of each class.
        labeled: (k,) share of them that the label model gives each class.
        rows: how many were held out.
    """

    setting: Setting
    choice: Choice
    predicted: tuple[float, ...]
    labeled: tuple[float, ...]
    rows: int

    @property
    def lost(self) -> tuple[int, ...]:
        """Classes that are predicted far less often than the label model gives them."""
        pairs = zip(self.predicted, self.labeled, strict=True)
        least = max(least_share(len(self.labeled)), _FEWEST / max(1, self.rows))
        return tuple(c for c, (made, told) in enumerate(pairs) if told >= least and made < LOST * told)

    def rank(self) -> tuple[int, float]:
        """Order settings: by classes lost, then by the distance between the shares."""
        return len(self.lost), float(np.abs(np.subtract(self.predicted, self.labeled)).sum())


def settings(regularization: tuple[float, ...], loss: Loss) -> tuple[Setting, ...]:
    """Return the task's own setting and the safer ones to try where it loses a class."""
    weakest = min(regularization)
    weaker = tuple(weakest / 10**i for i in range(1, 5))
    plain = replace(loss, name="cross_entropy", confidence_power=0.0, smoothing=0.0)
    return (
        Setting(name="", regularization=regularization, loss=loss),
        Setting(
            name=f"plain cross entropy and weaker regularization, down to {weaker[-1]:g}",
            regularization=weaker,
            loss=plain,
        ),
        Setting(
            name="rows weighed so that every class counts the same",
            regularization=(*regularization, *weaker[:1]),
            loss=replace(plain, by_class=True),
        ),
    )


def best_of(tried: Sequence[Tried]) -> Tried:
    """Return the one that lost fewest classes; the earliest of equals."""
    return min(tried, key=Tried.rank)


def warning(tried: Sequence[Tried], class_names: Sequence[str]) -> str | None:
    """Say what was lost and what was done about it, None where nothing was."""
    first, best = tried[0], best_of(tried)
    if not first.lost:
        return None
    found = (
        f"the model hardly ever predicts {_names(first.lost, class_names)} on held-out rows, although the "
        f"label model gives it: predicted shares {_shares(first.predicted)}, labels {_shares(first.labeled)}"
    )
    if best is first:
        return f"{found}; safer settings did no better. Look at the programs of these classes"
    left = f", which still loses {_names(best.lost, class_names)}" if best.lost else ""
    return f"{found}; trained again with {best.setting.name}{left}: predicted shares {_shares(best.predicted)}"


def _names(classes: Sequence[int], class_names: Sequence[str]) -> str:
    return ", ".join(class_names[c] for c in classes)


def _shares(shares: Sequence[float]) -> str:
    return "/".join(f"{share:.2f}" for share in shares)
