"""Anchored moment matching: the vote table whose implied pair counts match the counted ones.

Whether two programs vote together says how good both are, if they are independent given the class. That is
never quite so, so the match is robust and is pulled towards the anchor, the more the less the pairs are
explained.

Minimise over R, with F = R / pi (legend in anchor.py), for each token t
    sum_u huber_1((C_tu - E_tu R_t . F_u) / sd_tu) + pull/2 sum_y (R_ty - R0_ty)^2 / R0_ty
subject to R_ty >= FLOOR and sum_y R_ty = 1. The product R R' makes it biconvex: two copies of R take turns,
and with Huber's loss as iteratively reweighted squares each turn is one quadratic program, solved by cvxpy.
It is compiled once: the normal equations of each token enter as parameters, by their Cholesky factors, which
keeps the problem DPP. A semidefinite relaxation of the same match lost 10 points on 13 real matrices.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from engine.errors import SolverFailed
from engine.label_model.alternation import alternate
from engine.label_model.anchor import FLOOR, Tokens, on_simplex
from engine.label_model.diagnostics import Diagnostics
from engine.label_model.duplicates import SIMILAR, name_duplicates, similarity, vote_weights
from engine.label_model.evidence import evidence_of
from engine.label_model.identifiability import doubtful_fit, doubtful_votes, refuse_nothing
from engine.label_model.model import LabelModel
from engine.label_model.prior import choose_prior
from operators.moments import Moments
from operators.schema import Floats

logger = logging.getLogger(__name__)

PROBE_PULL = 3.0
"""Weak pull of the first fit, which only finds out how far independence holds."""

_PROBLEM_ENTRIES = 40_000
"""Parameters of one compiled problem; more tokens are solved in batches, so that memory stays flat in m."""


def fit(moments: Moments, *, class_balance: tuple[float, ...] | None = None) -> LabelModel:
    """Fit a label model to the moments of votes.

    Args:
        moments: of n rows, m programs and k classes, both at least 1.
        class_balance: (k,) positive, sums to 1; None to estimate it.

    Raises:
        ValueError: `class_balance` is no balance of the k classes.
        NotIdentifiable: there is no row or no program.
        SolverFailed: the convex solver gave no answer.

    Example:
        >>> votes = np.array([[0, 0, 1], [1, 1, 1], [0, 0, -1], [1, 0, 1]])
        >>> fit(Moments.of(votes, 2)).accuracies.shape
        (3,)
    """
    started = time.monotonic()
    refuse_nothing(moments)
    tokens = Tokens.of(moments)
    found = match(tokens)
    prior, rule = choose_prior(moments, tokens, doubt=found.doubt, class_balance=class_balance)
    similar = similarity(tokens, found.table)
    weights = vote_weights(similar)
    evidence, token_weights = evidence_of(moments, tokens, found.table, weights=weights, prior=prior)
    model = LabelModel(
        evidence=evidence,
        method="moment_matching",
        vote_rates=moments.first / moments.num_rows,
        vote_weights=token_weights,
        warnings=doubtful_votes(moments) + doubtful_fit(moments, tokens, balance_given=class_balance is not None),
        diagnostics=Diagnostics(
            class_balance=tuple(tokens.balance.tolist()),
            prior_rule=rule,
            pairs=tokens.num_pairs,
            parameters=tokens.num_parameters,
            misfit_anchor=found.misfit_anchor,
            misfit=found.misfit,
            independence_doubt=found.doubt,
            pull=found.pull,
            solves=found.solves,
            inaccurate_solves=found.inaccurate_solves,
            duplicates=name_duplicates(tokens, similar),
        ),
    )
    logger.info(
        "label model: %d programs, %d classes, %d rows, %d solves, %.2f s",
        moments.num_programs,
        moments.num_classes,
        moments.num_rows,
        found.solves,
        time.monotonic() - started,
    )
    return model


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Match:
    """A matched table and how it was come by; `Diagnostics` explains the numbers.

    Attributes:
        table: (N, k) R.
    """

    table: Floats
    misfit_anchor: float
    misfit: float
    doubt: float
    pull: float
    solves: int
    inaccurate_solves: int


def match(tokens: Tokens) -> Match:
    """Match the pair counts twice: weakly pulled, to see how far independence holds, then as that calls for.

    Raises:
        SolverFailed: the convex solver gave no answer.
    """
    misfit_anchor = tokens.misfit(tokens.anchor)
    if len(np.unique(tokens.programs)) < 3 or tokens.num_pairs == 0 or not tokens.meeting.any():
        # Two programs, or programs that never meet, say nothing of each other: the anchor stands.
        return Match(
            table=tokens.anchor,
            misfit_anchor=misfit_anchor,
            misfit=math.nan,
            doubt=1.0,
            pull=0.0,
            solves=0,
            inaccurate_solves=0,
        )
    problem = TokenProblem(num_tokens=len(tokens.places), num_classes=len(tokens.balance))
    others = tokens.others
    probe = alternate(tokens, problem.solve, counted=others, pull=PROBE_PULL)
    misfit = tokens.misfit(probe)
    spare = tokens.num_pairs - tokens.num_parameters
    doubt = 1.0
    if spare > 0 and misfit_anchor > 1e-6:
        doubt = misfit / misfit_anchor * tokens.num_pairs / spare
    # A pair of duplicates says that they are duplicates, and nothing of how good they are.
    apart = others & (similarity(tokens, probe) <= SIMILAR)
    pull = _pull(doubt, tokens.misfit(probe, counted=apart))
    table = alternate(tokens, problem.solve, counted=apart, pull=pull)
    return Match(
        table=table,
        misfit_anchor=misfit_anchor,
        misfit=misfit,
        doubt=doubt,
        pull=pull,
        solves=problem.solves,
        inaccurate_solves=problem.inaccurate_solves,
    )


class TokenProblem:
    """The quadratic program of one turn, compiled once: min sum_t |U_t x_t - v_t|^2, each x_t in the simplex.

    Attributes:
        solves: programs solved so far.
        inaccurate_solves: those that ended short of the solver's full accuracy.
    """

    def __init__(self, *, num_tokens: int, num_classes: int, max_iter: int = 200) -> None:
        """Compile for batches of tokens.

        Args:
            num_tokens: N.
            num_classes: k.
            max_iter: of the solver; it takes about 10.
        """
        k = num_classes
        self.solves = self.inaccurate_solves = 0
        self._max_iter = max_iter
        self._num_tokens = num_tokens
        self._batch = max(1, min(num_tokens, _PROBLEM_ENTRIES // (k * (k + 1) // 2)))
        self._table = cp.Variable((self._batch, k))
        self._factors = {(r, c): cp.Parameter(self._batch) for r in range(k) for c in range(r, k)}
        self._target = cp.Parameter((self._batch, k))
        loss = sum(
            cp.sum_squares(
                sum(cp.multiply(self._factors[r, c], self._table[:, c]) for c in range(r, k)) - self._target[:, r]
            )
            for r in range(k)
        )
        constraints = [self._table >= FLOOR, cp.sum(self._table, axis=1) == 1]
        self._problem = cp.Problem(cp.Minimize(loss), constraints)
        assert self._problem.is_dcp(dpp=True), "else every turn would compile the problem again"

    def solve(self, quadratic: Floats, linear: Floats) -> Floats:
        """Minimise x_t' H_t x_t / 2 - g_t' x_t over the simplex for each token.

        Args:
            quadratic: (N, k, k) H, positive definite.
            linear: (N, k) g.

        Returns:
            (N, k), rows sum to 1.

        Raises:
            SolverFailed: the solver gave no answer.
        """
        k = quadratic.shape[1]
        scale = k / np.trace(quadratic, axis1=1, axis2=2)
        # Tokens differ in size by orders of magnitude; at one scale the solver's tolerance means the same to
        # all.
        lower = np.linalg.cholesky(quadratic * scale[:, None, None] + 1e-9 * np.eye(k))
        target = np.linalg.solve(lower, (linear * scale[:, None])[:, :, None])[:, :, 0]
        table = np.empty_like(linear)
        for start in range(0, self._num_tokens, self._batch):
            # The last batch is filled up from the front: a problem has one size.
            rows = np.arange(start, start + self._batch) % self._num_tokens
            table[rows] = self._solve_batch(lower[rows], target[rows])
        return on_simplex(table, floor=FLOOR / 10)

    def _solve_batch(self, lower: Floats, target: Floats) -> Floats:
        for (r, c), parameter in self._factors.items():
            parameter.value = lower[:, c, r]
        self._target.value = target
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of inaccurate solutions, which are counted here
            try:
                self._problem.solve(solver=cp.CLARABEL, max_iter=self._max_iter)
            except cp.SolverError as error:
                raise SolverFailed(_advice(str(error))) from error
        self.solves += 1
        if self._problem.status == cp.OPTIMAL_INACCURATE:
            self.inaccurate_solves += 1
        elif self._problem.status != cp.OPTIMAL:
            raise SolverFailed(_advice(f"status {self._problem.status!r}"))
        found: Floats = self._table.value
        return found


def _pull(doubt: float, misfit: float) -> float:
    """How strongly the last fit is pulled to the anchor; the constants were chosen on 24 real matrices."""
    return min(1e5, 30.0 * max(1.0, doubt / 0.3) ** 4 * max(1.0, misfit / 0.5))


def _advice(what: str) -> str:
    return (
        f"moment matching needs the optimum of a small quadratic program, and the solver ended with {what}; "
        "use `label_model: {method: majority_vote}`, or leave out programs that vote on very few rows"
    )
