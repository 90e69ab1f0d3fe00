"""Cramér's V is what one works out by hand, near 0 for what is independent, and beside what chance gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats.contingency import association as plain_association

from engine.association import Association, association


def measured(table: list[list[int]] | np.ndarray) -> Association:
    return association(np.array(table, np.int64), np.random.default_rng(0))


def test_by_hand() -> None:
    """A table of (30, 10), (10, 30): phi squared is 0.25, and 78 of 79 parts of that and of the sides are left."""
    phi2 = 0.25 - 1 / 79
    side = 2 - 1 / 79
    assert measured([[30, 10], [10, 30]]).cramers_v == pytest.approx((phi2 / (side - 1)) ** 0.5)


def test_of_many_rows_the_correction_vanishes() -> None:
    """Of a hundred thousand rows the corrected V is SciPy's plain one."""
    table = np.random.default_rng(1).integers(5000, 20_000, (4, 3))
    assert measured(table).cramers_v == pytest.approx(plain_association(table), abs=1e-3)


def test_ends_of_the_scale() -> None:
    """One column that settles the other gives 1; rows and columns that are in no row do not matter."""
    assert measured([[50, 0, 0], [0, 0, 50], [0, 0, 0]]).cramers_v == pytest.approx(1.0)
    assert measured([[50, 50], [50, 50]]).cramers_v == 0.0


@pytest.mark.parametrize("table", [[[5, 7]], [[5], [7]], [[0, 0], [3, 4]], np.zeros((0, 2)), [[1, 0], [0, 1]]])
def test_one_value_has_no_dependence(table: list[list[int]]) -> None:
    """Where a column holds one value, or there are two rows, nothing can be said."""
    assert measured(table) == Association(cramers_v=None, by_chance=None)


def test_a_value_a_row_says_nothing() -> None:
    """As many values as rows on both sides would always give 1."""
    assert measured(np.eye(5)).cramers_v == 0.0


@pytest.mark.parametrize("num_rows", [60, 2000])
def test_independent_columns_stay_within_chance(num_rows: int) -> None:
    """Columns drawn apart are below the largest by chance, and around 0 on average, where plain V is not."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(20):
        a, b = rng.integers(4, size=num_rows), rng.integers(5, size=num_rows)
        table = np.zeros((4, 5), np.int64)
        np.add.at(table, (a, b), 1)
        made = measured(table)
        assert made.cramers_v is not None
        assert made.by_chance is not None
        assert made.cramers_v <= made.by_chance
        found.append(made.cramers_v)
    assert np.mean(found) < 2 / num_rows**0.5 / 3
    assert made.by_chance > 0


def test_a_planted_dependence_is_above_chance() -> None:
    """A third of the rows copy the column; V is near a third, far above chance."""
    rng = np.random.default_rng(3)
    a, b = rng.integers(2, size=3000), rng.integers(2, size=3000)
    b = np.where(rng.random(3000) < 1 / 3, a, b)
    table = np.zeros((2, 2), np.int64)
    np.add.at(table, (a, b), 1)
    made = measured(table)
    assert made.cramers_v == pytest.approx(1 / 3, abs=0.05)
    assert made.by_chance is not None
    assert made.by_chance < 0.1
