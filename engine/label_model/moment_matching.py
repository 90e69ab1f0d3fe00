"""Anchored moment matching: the vote table whose implied pair counts match the counted ones.

Whether two programs vote together says how good both are, if they are independent given the class. That is
never quite so, so the match is robust and is pulled towards the anchor, the more the less the pairs are
explained.

Minimise over R, with F = R / pi (legend in anchor.py), for each token t
    sum_u huber_1((C_tu - E_tu R_t . F_u) / sd_tu) + pull/2 sum_y (R_ty - R0_ty)^2 / R0_ty
subject to R_ty >= FLOOR and sum_y R_ty = 1. The product R R' makes it biconvex: two copies of R take turns,
and with Huber's loss as iteratively reweighted squares each turn is one quadratic program (token_problem.py).
The last turn, from where the copies rest, is solved by cvxpy for every token. A semidefinite relaxation of the
same match lost 10 points on 13 real matrices.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

import numpy as np

from engine.label_model.alternation import Goals, alternate, normal_equations
from engine.label_model.anchor import Tokens
from engine.label_model.diagnostics import Diagnostics
from engine.label_model.duplicates import SIMILAR, name_duplicates, similarity, twins, vote_weights
from engine.label_model.evidence import pool, vote_rates_by_class
from engine.label_model.gold import GoldCounts
from engine.label_model.identifiability import doubtful_fit, doubtful_votes, refuse_nothing, worse_than_chance
from engine.label_model.model import LabelModel
from engine.label_model.prior import choose_prior
from engine.label_model.temperature import choose_temperature
from engine.label_model.token_problem import TokenProblem
from operators.moments import Moments
from operators.patterns import Patterns
from operators.schema import Floats

logger = logging.getLogger(__name__)

PROBE_PULL = 3.0
"""Weak pull of the first fit, which only finds out how far independence holds."""


def fit(
    moments: Moments,
    patterns: Patterns,
    *,
    class_balance: tuple[float, ...] | None = None,
    gold: GoldCounts | None = None,
) -> LabelModel:
    """Fit a label model to the moments of votes.

    Args:
        moments: of n rows, m programs and k classes, both at least 1.
        patterns: of the same rows, from which the temperature is read.
        class_balance: (k,) positive, sums to 1; None to estimate it.
        gold: of some rows, where the user wants them used.

    Raises:
        ValueError: `class_balance` is no balance of the k classes, or the patterns are of other rows.
        NotIdentifiable: there is no row or no program.
        SolverFailed: the convex solver gave no answer.

    Example:
        >>> votes = np.array([[0, 0, 1], [1, 1, 1], [0, 0, -1], [1, 0, 1]])
        >>> fit(Moments.of(votes, 2), Patterns.of(votes, 2)).accuracies.shape
        (3,)
    """
    started = time.monotonic()
    refuse_nothing(moments)
    patterns.check_goes_with(moments.num_rows, moments.num_programs)
    m, k = moments.num_programs, moments.num_classes
    tokens = Tokens.of(moments, gold)
    found = match(tokens)
    prior, rule = choose_prior(moments, tokens, doubt=found.doubt, class_balance=class_balance, gold=gold)
    similar = similarity(tokens, found.table)
    weights = vote_weights(similar)
    pooled = pool(moments, tokens, found.table, weights=weights, prior=prior)
    temperature = choose_temperature(
        patterns, pooled, vote_rates_by_class(moments, tokens, found.table), twins=twins(tokens, similar, m)
    )
    given = np.tile(tokens.balance, (m * k, 1))
    given[tokens.places] = found.table
    token_weights = np.ones(m * k)
    token_weights[tokens.places] = weights
    model = LabelModel(
        evidence=pooled.tempered(temperature),
        method="moment_matching",
        vote_rates=moments.first / moments.num_rows,
        given_vote=given.reshape(m, k, k),
        class_balance=tokens.balance,
        vote_weights=token_weights.reshape(m, k),
        warnings=(
            *doubtful_votes(moments),
            *doubtful_fit(moments, tokens, balance_given=class_balance is not None),
            *worse_than_chance(tokens, found.table),
        ),
        diagnostics=Diagnostics(
            class_balance=tuple(tokens.balance.tolist()),
            prior_rule=rule,
            temperature=temperature,
            gold_rows=0 if gold is None else gold.num_rows,
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
        m,
        k,
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
    probe = alternate(Goals.of(tokens, counted=others, pull=PROBE_PULL), problem.solve)
    misfit = tokens.misfit(probe)
    spare = tokens.num_pairs - tokens.num_parameters
    doubt = 1.0
    if spare > 0 and misfit_anchor > 1e-6:
        doubt = misfit / misfit_anchor * tokens.num_pairs / spare
    # A pair of duplicates says that they are duplicates, and nothing of how good they are.
    apart = others & (similarity(tokens, probe) <= SIMILAR)
    pull = _pull(doubt, tokens.misfit(probe, counted=apart))
    goals = Goals.of(tokens, counted=apart, pull=pull)
    rest = alternate(goals, problem.solve)
    table = problem.solve_by_cvxpy(*normal_equations(goals, rest, rest))
    return Match(
        table=table,
        misfit_anchor=misfit_anchor,
        misfit=misfit,
        doubt=doubt,
        pull=pull,
        solves=problem.solves,
        inaccurate_solves=problem.inaccurate_solves,
    )


def _pull(doubt: float, misfit: float) -> float:
    """How strongly the last fit is pulled to the anchor; the constants were chosen on 24 real matrices."""
    return min(1e5, 30.0 * max(1.0, doubt / 0.3) ** 4 * max(1.0, misfit / 0.5))
