"""Quadratic programs over the simplex: the optimum, by its own conditions and by a general solver."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.label_model.active_set import solve_on_simplex

FLOOR = 1e-3


def problems(num: int, k: int, seed: int, *, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw positive definite quadratics of trace k, and gradients that push entries to the floor."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(num, k, k))
    quadratic = root @ root.transpose(0, 2, 1) + 0.05 * np.eye(k)
    quadratic *= (k / np.trace(quadratic, axis1=1, axis2=2))[:, None, None]
    return quadratic, tilt * rng.normal(size=(num, k))


@settings(max_examples=30, deadline=None)
@given(k=st.integers(2, 12), seed=st.integers(0, 2**16), tilt=st.sampled_from([0.01, 0.3, 1.0, 5.0]))
def test_what_is_certified_meets_the_conditions_of_the_optimum(k: int, seed: int, tilt: float) -> None:
    """Inside the simplex; free entries have one slope; no entry at the floor would gain by rising."""
    quadratic, linear = problems(50, k, seed, tilt=tilt)
    table, solved = solve_on_simplex(quadratic, linear, floor=FLOOR)
    assert solved.mean() > 0.9
    x, slope = table[solved], (quadratic @ table[:, :, None])[:, :, 0][solved] - linear[solved]
    assert np.allclose(x.sum(axis=1), 1)
    assert (x >= FLOOR - 1e-8).all()
    free = x > FLOOR + 1e-7
    common = (slope * free).sum(axis=1) / free.sum(axis=1)
    assert np.abs((slope - common[:, None]) * free).max() < 1e-6
    assert ((slope - common[:, None])[~free] > -1e-6).all()


@pytest.mark.parametrize("k", [2, 3, 8])
def test_a_general_solver_finds_the_same(k: int) -> None:
    """Cvxpy, on the same problems."""
    quadratic, linear = problems(5, k, 7, tilt=1.0)
    table, solved = solve_on_simplex(quadratic, linear, floor=FLOOR)
    assert solved.all()
    for h, g, x in zip(quadratic, linear, table, strict=True):
        v = cp.Variable(k)
        cp.Problem(cp.Minimize(cp.quad_form(v, cp.psd_wrap(h)) / 2 - g @ v), [v >= FLOOR, cp.sum(v) == 1]).solve(
            solver=cp.CLARABEL
        )
        assert np.abs(v.value - x).max() < 1e-5


def test_a_minimum_by_hand() -> None:
    """Distance to (2, 0, 0) from the simplex: the corner, as near as the floor lets."""
    table, solved = solve_on_simplex(np.eye(3)[None], np.array([[2.0, 0.0, 0.0]]), floor=0.1)
    assert solved.all()
    assert table[0] == pytest.approx([0.8, 0.1, 0.1])
