"""Whether sequences of characters help a corpus, tried on some thousand rows before all are featurized.

They help where words are few or spelled in many ways, cost as much again as words, and lead astray where words tell
everything. Held-out soft labels decide: the linear model is trained with the columns of characters and without them.
No feature is left out (see `dropout`): of a word that is, characters would still tell, and help for that alone. Soft
labels cannot tell a closer fit to what is right from a closer fit to the label model's mistakes, so where it is unsure
of most rows words stay alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.distillation.groups import Alone
from engine.distillation.job import Job, do_job
from engine.distillation.rows import num_covered, read_rows
from operators.features import FeatureSpec, Featurizer
from operators.storage import Folder

SAMPLE_ROWS = 6000
"""Rows of a trial: few enough to be held out in turn, and for training on them ten times to take seconds."""

_EVERY = 3
"""Of the regularizations, every third is tried: both sides lose as much by it."""

_MARGIN = 0.01
"""Share of the held-out loss that characters must save: smaller differences change sign from one draw of held-out
rows to the next, and words are cheaper."""


_UNSURE = 0.45
"""Mean entropy of soft labels, as a share of the largest, above which they are not followed closely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterTrial:
    """What a trial found.

    Attributes:
        rows: it took.
        with_loss: held-out cross entropy with characters; NaN where no row was held out.
        without_loss: the same without.
        with_lost: classes that the model with characters hardly ever predicts, of those that soft labels give.
        without_lost: the same without.
        entropy: mean entropy of the soft labels, 0..1 as a share of the largest.
    """

    rows: int
    with_loss: float
    without_loss: float
    with_lost: int = 0
    without_lost: int = 0
    entropy: float = 0.0

    @property
    def help(self) -> bool:
        """Whether characters are to be used."""
        better = self.with_loss < (1 - _MARGIN) * self.without_loss
        return better and self.with_lost <= self.without_lost and self.entropy <= _UNSURE

    def __str__(self) -> str:
        if math.isnan(self.with_loss):
            return f"not used: {self.rows} rows are too few to try"
        losses = f"held-out loss {self.with_loss:.4f} with them, {self.without_loss:.4f} without, of {self.rows} rows"
        if self.entropy > _UNSURE:
            losses += f"; soft labels are too unsure to be followed closely (entropy {self.entropy:.2f} of the largest)"
        return f"{'used' if self.help else 'not used'}: {losses}"


def try_characters(
    files: Sequence[Folder],
    *,
    features: FeatureSpec,
    num_classes: int,
    regularization: Sequence[float],
    epochs: int,
) -> CharacterTrial:
    """Train with characters and without; gold is not read.

    Args:
        files: featurized with characters.
        features: that they were featurized by.
        num_classes: k.
        regularization: to choose from, as for the model itself.
        epochs: for each, at most.
    """
    if num_covered(files) == 0:
        return CharacterTrial(rows=0, with_loss=math.nan, without_loss=math.nan)
    num_features = Featurizer(features).num_features
    job = Job(
        files=tuple(files),
        num_features=num_features,
        num_classes=num_classes,
        regularization=tuple(sorted(set(regularization), reverse=True)[_EVERY - 1 :: _EVERY] or regularization[-1:]),
        epochs=epochs,
        telling=True,
    )
    words = Featurizer(replace(features, max_char_ngram=0)).num_features
    found = [
        do_job(one, one.files, group=Alone(), progress=None, on_round=lambda _: None)
        for one in (job, replace(job, first_columns=words))
    ]
    rows = found[0].num_rows
    losses = [trained.chosen.heldout_loss if trained.num_heldout else math.nan for trained in found]
    lost = [len(trained.chosen.collapsed) for trained in found]
    return CharacterTrial(
        rows=rows,
        with_loss=losses[0],
        without_loss=losses[1],
        with_lost=lost[0],
        without_lost=lost[1],
        entropy=_entropy(files, num_features=num_features, num_classes=num_classes),
    )


def _entropy(files: Sequence[Folder], *, num_features: int, num_classes: int) -> float:
    rows, heldout, _ = read_rows(files, num_features=num_features, num_classes=num_classes)
    soft = np.concatenate([rows.soft, heldout.soft]).astype(np.float64)
    entropies = -(soft * np.log(np.maximum(soft, 1e-12))).sum(axis=1)
    return float(entropies.mean() / math.log(num_classes))
