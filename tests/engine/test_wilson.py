"""Wilson's interval is SciPy's where counts are whole, and stays in 0..1 where a share is 0 or 1."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from engine.wilson import wilson


@pytest.mark.parametrize(("right", "rows"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (642, 5794), (5794, 5794)])
def test_agrees_with_scipy(right: int, rows: int) -> None:
    """Of whole rows it is the interval that SciPy computes."""
    expected = binomtest(right, rows).proportion_ci(0.95, method="wilson")
    low, high = wilson(right / rows, rows)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= right / rows <= high <= 1


def test_half_a_row_is_between_its_neighbours() -> None:
    """A tie counts as a part of a row, and its interval lies between those of fewer and more."""
    bounds = [wilson(right / 20, 20) for right in (10, 10.5, 11)]
    assert bounds == sorted(bounds)
    assert len(set(bounds)) == 3


@pytest.mark.parametrize(("share", "rows"), [(0.5, 0), (1.1, 3), (-0.1, 3), (float("nan"), 3)])
def test_refuses_what_is_no_share(share: float, rows: int) -> None:
    """Without rows, or with a share outside of 0..1, there is no interval."""
    with pytest.raises(ValueError, match="at least one row"):
        wilson(share, rows)
