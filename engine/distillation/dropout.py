"""Leaving features out at random in training, so that a model does not lean on the programs' own words alone.

Programs look for words, so their words predict soft labels all but perfectly, and a model that sees them always learns
the programs by heart, mistakes included. Where most features of a row are missing it must do with what else such texts
have in common, which is what makes it better than its teachers. Held-out rows that choose among models are thinned too.

References: Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 2014; C. Dong,
Z. Wang and J. Shang, Debiasing made state-of-the-art: revisiting the simple seed-based weak supervision for text
classification, EMNLP 2023, who delete words at random from texts that were labeled by words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from engine.distillation.rows import Rows
from engine.task_end_model import EndModelSpec
from operators.features import FeatureSpec, Sparse, unit_rows

_USUAL = 0.7
"""Of n-grams, where the task does not say: .8 loses a class of one of six corpora and .5 helps less, as gold showed
(benchmarks/README.md)."""

_MOST_DRAWS = 5
"""Times that a row to train on stands there at most, each time without other features."""

_HELDOUT = 1
"""Tells the draws of rows to choose by from those of rows to train on."""

_ENOUGH_ROWS = 100_000
"""Rows of a worker from which each stands there once: others like it say the rest."""


def dropout_of(spec: EndModelSpec, features: FeatureSpec) -> float:
    """Return the share of features to leave out: what the task says, or .7 of hashed n-grams and none of others."""
    if spec.feature_dropout is not None:
        return spec.feature_dropout
    return _USUAL if features.kind == "hashed_ngrams" else 0.0


def thinned(rows: Rows, *, dropout: float, seed: Sequence[int]) -> Rows:
    """Leave features out of rows to train on; see `thinned_heldout` for those to choose by.

    Args:
        rows: of this worker, with n features of length 1.
        dropout: share that is left out, 0..1; 0 gives the rows as they are.
        seed: what is left out follows from it and from the place of a row.

    Returns:
        each row once or several times; targets and weights are to be set anew.
    """
    if not dropout:
        return rows
    # As often as all of them together have as many numbers as the row itself.
    draws = min(_MOST_DRAWS, round(1 / (1 - dropout))) if rows.num_rows < _ENOUGH_ROWS else 1
    rng = np.random.default_rng(seed)
    parts = [thinned_features(rows.features, dropout=dropout, rng=rng) for _ in range(draws)]
    return Rows(
        features=sp.vstack(parts, format="csr"), soft=np.tile(rows.soft, (draws, 1)), folds=np.tile(rows.folds, draws)
    )


def thinned_heldout(rows: Rows, *, dropout: float, seed: Sequence[int]) -> Rows:
    """Leave features out of rows to choose by, once of each and otherwise than of rows to train on.

    Soft labels of whole rows are predicted best by a model that leans on the programs' words, so they would choose the
    one that resists them least; of thinned rows they are predicted best by what dropout is there to teach. Arguments
    are those of `thinned`; targets and weights stay.
    """
    if not dropout:
        return rows
    rng = np.random.default_rng([*seed, _HELDOUT])
    return rows.with_features(thinned_features(rows.features, dropout=dropout, rng=rng))


def thinned_features(features: Sparse, *, dropout: float, rng: np.random.Generator) -> Sparse:
    """Leave a share of the stored values of (n, d) features out at random.

    Rows are brought back to length 1, as those of shorter texts would be. So what a feature says does not depend on how
    many stand beside it, and in a whole row, which has more of them, it counts for more against the class balance.
    """
    found = features.copy()
    found.data[rng.random(found.nnz) < dropout] = 0
    found.eliminate_zeros()
    return unit_rows(found)
