"""The quadratic program of one turn of moment matching: for each token, the best point of the simplex.

    minimise  x_t' H_t x_t / 2 - g_t' x_t   subject to  x_t >= FLOOR, sum x_t = 1

Stated in cvxpy and compiled once: the normal equations of each token enter as parameters, by their Cholesky factors,
which keeps the problem DPP. The many turns on the way are solved by an active set where it certifies the optimum,
which is all but always and thirty times as fast; what it does not certify goes to cvxpy.
"""

from __future__ import annotations

import warnings
from typing import cast

import cvxpy as cp
import numpy as np

from engine.errors import SolverFailed
from engine.label_model.active_set import solve_on_simplex
from engine.label_model.anchor import FLOOR, on_simplex
from operators.schema import Floats

_PROBLEM_ENTRIES = 40_000
"""Parameters of one compiled problem; more tokens are solved in batches, so that memory stays flat in m."""

_JITTER = 1e-9
"""Added to the diagonal, of unit size, so that a factor always exists."""


class TokenProblem:
    """Solves the program for all tokens, as often as asked.

    Attributes:
        solves: convex programs solved by cvxpy so far.
        inaccurate_solves: those that ended short of the solver's full accuracy.
    """

    def __init__(self, *, num_tokens: int, num_classes: int, max_iter: int = 200) -> None:
        """Set up for batches of tokens; nothing is compiled before it is needed.

        Args:
            num_tokens: N.
            num_classes: k.
            max_iter: of the solver; it takes about 10.
        """
        self.solves = self.inaccurate_solves = 0
        self._max_iter = max_iter
        self._batch = max(1, min(num_tokens, _PROBLEM_ENTRIES // (num_classes * (num_classes + 1) // 2)))
        self._num_classes = num_classes
        self._compiled: _Compiled | None = None

    def solve(self, quadratic: Floats, linear: Floats) -> Floats:
        """Find each token's minimum.

        Args:
            quadratic: (N, k, k) H, positive definite.
            linear: (N, k) g.

        Returns:
            (N, k), rows sum to 1.

        Raises:
            SolverFailed: the solver gave no answer.
        """
        quadratic, linear = _scaled(quadratic, linear)
        table, solved = solve_on_simplex(quadratic, linear, floor=FLOOR)
        left = np.flatnonzero(~solved)
        if len(left):
            table[left] = self._by_cvxpy(quadratic[left], linear[left])
        return on_simplex(table, floor=FLOOR / 10)

    def solve_by_cvxpy(self, quadratic: Floats, linear: Floats) -> Floats:
        """Find each token's minimum by cvxpy alone; as `solve`."""
        return on_simplex(self._by_cvxpy(*_scaled(quadratic, linear)), floor=FLOOR / 10)

    def _by_cvxpy(self, quadratic: Floats, linear: Floats) -> Floats:
        num_tokens = len(linear)
        lower = cast(Floats, np.linalg.cholesky(quadratic))
        target = cast(Floats, np.linalg.solve(lower, linear[:, :, None])[:, :, 0])
        table = np.empty_like(linear)
        for start in range(0, num_tokens, self._batch):
            # The last batch is filled up from the front: a problem has one size.
            rows = np.arange(start, start + self._batch) % num_tokens
            table[rows] = self._solve_batch(lower[rows], target[rows])
        return table

    def _solve_batch(self, lower: Floats, target: Floats) -> Floats:
        if self._compiled is None:
            self._compiled = _Compiled(self._batch, self._num_classes)
        compiled = self._compiled
        for (r, c), parameter in compiled.factors.items():
            parameter.value = lower[:, c, r]
        compiled.target.value = target
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of inaccurate solutions, which are counted here
            try:
                compiled.problem.solve(solver=cp.CLARABEL, max_iter=self._max_iter)
            except cp.SolverError as error:
                raise SolverFailed(_advice(str(error))) from error
        self.solves += 1
        if compiled.problem.status == cp.OPTIMAL_INACCURATE:
            self.inaccurate_solves += 1
        elif compiled.problem.status != cp.OPTIMAL:
            raise SolverFailed(_advice(f"status {compiled.problem.status!r}"))
        found: Floats = compiled.table.value
        return found


class _Compiled:
    """min sum_t |U_t x_t - v_t|^2 over a batch of tokens, with U and v as parameters."""

    def __init__(self, batch: int, k: int) -> None:
        self.table = cp.Variable((batch, k))
        self.factors = {(r, c): cp.Parameter(batch) for r in range(k) for c in range(r, k)}
        self.target = cp.Parameter((batch, k))
        loss = sum(
            cp.sum_squares(
                sum(cp.multiply(self.factors[r, c], self.table[:, c]) for c in range(r, k)) - self.target[:, r]
            )
            for r in range(k)
        )
        self.problem = cp.Problem(cp.Minimize(loss), [self.table >= FLOOR, cp.sum(self.table, axis=1) == 1])
        assert self.problem.is_dcp(dpp=True), "else every turn would compile the problem again"


def _scaled(quadratic: Floats, linear: Floats) -> tuple[Floats, Floats]:
    """Bring each token's problem to trace k: they differ by orders of magnitude, and a tolerance means one thing."""
    k = quadratic.shape[1]
    scale = k / np.trace(quadratic, axis1=1, axis2=2)
    return quadratic * scale[:, None, None] + _JITTER * np.eye(k), linear * scale[:, None]


def _advice(what: str) -> str:
    return (
        f"moment matching needs the optimum of a small quadratic program, and the solver ended with {what}; "
        "use `label_model: {method: majority_vote}`, or leave out programs that vote on very few rows"
    )
