"""How telling features are decides how freely their weights move."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from engine.distillation.groups import Alone
from engine.distillation.ratios import penalty_factors
from engine.distillation.rows import Rows

SOFT = np.array([[1.0, 0.0]] * 50 + [[0.0, 1.0]] * 50, np.float32)


def _rows(columns: np.ndarray, soft: np.ndarray = SOFT) -> Rows:
    return Rows(features=sp.csr_matrix(columns.astype(np.float32)), soft=soft, folds=np.ones(len(soft), np.uint8))


def test_a_telling_feature_is_penalised_less_than_one_that_says_nothing() -> None:
    """The first is in all rows of a class, the second in half of each, whatever their values."""
    telling, silent = np.arange(100) < 50, np.arange(100) % 2
    factors = penalty_factors(_rows(np.stack([0.3 * telling, 7.0 * silent], axis=1)), Alone())
    assert factors.shape == (2, 2)
    assert (factors[0] < 1).all()
    assert (factors[1] > 10).all()
    assert np.isfinite(factors).all()


def test_soft_labels_count_by_their_share() -> None:
    """A feature of rows that are half of each class tells nothing."""
    soft = np.full((100, 2), 0.5, np.float32)
    columns = np.stack([np.arange(100) < 50, np.arange(100) % 2], axis=1)
    factors = penalty_factors(_rows(columns, soft), Alone())
    np.testing.assert_allclose(factors, 1.0)


def test_features_that_every_row_has_are_penalised_alike() -> None:
    """An embedding is never absent, so its presence cannot tell."""
    factors = penalty_factors(_rows(np.ones((100, 3))), Alone())
    np.testing.assert_allclose(factors, 1.0)


def test_workers_count_together() -> None:
    """Two workers with half of the rows each give what one with all of them gives."""
    rng = np.random.default_rng(0)
    columns = rng.random((100, 4)) < 0.4

    class Both:
        rank = 0

        def __init__(self) -> None:
            self.told: list[np.ndarray] = []

        def total(self, values: np.ndarray) -> np.ndarray:
            self.told.append(values)
            return values if len(self.told) < 2 else self.told[0] + values

        def from_first(self, values: np.ndarray) -> np.ndarray:
            return values

    both = Both()
    penalty_factors(_rows(columns[:30], SOFT[:30]), both)
    told = penalty_factors(_rows(columns[30:], SOFT[30:]), both)
    np.testing.assert_allclose(told, penalty_factors(_rows(columns), Alone()))
