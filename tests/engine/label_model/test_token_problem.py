"""The quadratic program of a turn: by hand, by both ways alike, and named when the solver gives up."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import SolverFailed
from engine.label_model import token_problem
from engine.label_model.token_problem import TokenProblem
from operators.schema import Floats


def drawn(num_tokens: int, k: int) -> tuple[Floats, Floats]:
    """Draw problems of very different size, some with their minimum at the floor."""
    rng = np.random.default_rng(k)
    root = rng.normal(size=(num_tokens, k, k))
    scale = 10.0 ** rng.integers(-2, 6, size=num_tokens)
    quadratic = (root @ root.transpose(0, 2, 1) + 0.1 * np.eye(k)) * scale[:, None, None]
    return quadratic, rng.normal(size=(num_tokens, k)) * scale[:, None]


def test_the_quadratic_program_is_solved() -> None:
    """The minimum of |x - g|^2 over the simplex is the projection of g, whatever the scale."""
    scale = np.array([1.0, 1e8])
    quadratic = np.eye(3)[None] * scale[:, None, None]
    goal = np.array([0.5, 0.4, -0.2])
    problem = TokenProblem(num_tokens=2, num_classes=3)
    # The floor of .001 on the last entry takes .0005 from each of the others.
    for solve in (problem.solve, problem.solve_by_cvxpy):
        np.testing.assert_allclose(solve(quadratic, goal * scale[:, None]), [[0.5495, 0.4495, 0.001]] * 2, atol=1e-5)


@pytest.mark.parametrize("k", [2, 5])
def test_both_ways_give_the_same(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The active set and cvxpy, in batches that do not divide the tokens."""
    monkeypatch.setattr(token_problem, "_PROBLEM_ENTRIES", 7 * k * (k + 1) // 2)
    quadratic, linear = drawn(30, k)
    problem = TokenProblem(num_tokens=30, num_classes=k)
    quick = problem.solve(quadratic, linear)
    assert problem.solves == 0
    np.testing.assert_allclose(quick, problem.solve_by_cvxpy(quadratic, linear), atol=1e-5)
    assert problem.solves == 5


def test_what_is_not_certified_goes_to_cvxpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever they are, and only those."""
    quadratic, linear = drawn(12, 3)
    problem = TokenProblem(num_tokens=12, num_classes=3)
    expected = problem.solve(quadratic, linear)
    real = token_problem.solve_on_simplex

    def doubting(*arguments: Floats, floor: float) -> tuple[Floats, np.ndarray]:
        table, solved = real(*arguments, floor=floor)
        solved[[1, 7]] = False
        table[[1, 7]] = np.nan
        return table, solved

    monkeypatch.setattr(token_problem, "solve_on_simplex", doubting)
    np.testing.assert_allclose(problem.solve(quadratic, linear), expected, atol=1e-5)
    assert problem.solves == 1


def test_a_solver_that_gives_up_is_named() -> None:
    """A status without an answer becomes SolverFailed, with what to do."""
    problem = TokenProblem(num_tokens=2, num_classes=2, max_iter=1)
    with pytest.raises(SolverFailed, match="majority_vote"):
        problem.solve_by_cvxpy(np.stack([np.diag([1.0, 3.0])] * 2), np.array([[2.0, -1.0], [1.0, 0.5]]))
