"""The label model as a value: what a fit returns, what is saved, what labels rows.

An evidence table, a prior and a temperature are all that soft labels need. The vote table theta and the
accuracies are derived from them, for people.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.moments import Moments
from operators.posterior import Evidence, hard_labels, soft_labels
from operators.schema import Floats, Votes

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Two programs whose votes for a class agree more than the class explains."""

    program: int
    other: int
    vote: int
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """How moment matching went.

    Attributes:
        class_balance: (k,) estimated from the votes, before any shrinking of the prior.
        prior_rule: "given", "estimated" or "shrunk": where the prior comes from.
        pairs: pairs of votes that carry information.
        parameters: free parameters of the vote table.
        misfit_anchor: mean squared misfit of pair counts in units of their spread, with the vote-share table.
        misfit: the same after matching; NaN where nothing was matched.
        independence_doubt: `misfit` over `misfit_anchor`, corrected for parameters; near 0 where programs are
            independent given the class, about 1 where matching explains nothing.
        pull: strength of the pull towards the vote-share table in the last fit.
        solves: convex problems solved.
        inaccurate_solves: those that ended short of the solver's full accuracy.
    """

    class_balance: tuple[float, ...]
    prior_rule: str
    pairs: int
    parameters: int
    misfit_anchor: float
    misfit: float
    independence_doubt: float
    pull: float
    solves: int
    inaccurate_solves: int
    duplicates: tuple[Duplicate, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelModel:
    """A fitted label model over m programs and k classes.

    Attributes:
        evidence: what soft labels are made from.
        method: "moment_matching" or "majority_vote".
        vote_rates: (m, k), share of all rows in which a program votes a class, 0..1.
        vote_weights: (m, k), what the evidence of a vote was multiplied by, 0..1; below 1 for duplicates.
        warnings: what the votes do not determine, and what to add.
        diagnostics: None where nothing was fitted.

    Example:
        >>> votes = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 1], [1, -1, 1]])
        >>> LabelModel.fit(votes, num_classes=2).predict(votes)
        array([0, 1, 0, 1], dtype=int8)
    """

    evidence: Evidence
    method: str
    vote_rates: Floats
    vote_weights: Floats
    warnings: tuple[str, ...] = ()
    diagnostics: Diagnostics | None = None

    def __post_init__(self) -> None:
        shape = (self.evidence.num_programs, self.evidence.num_classes)
        for name in ("vote_rates", "vote_weights"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")

    @classmethod
    def fit(
        cls,
        L: npt.NDArray[Any],
        *,
        num_classes: int,
        class_balance: Sequence[float] | None = None,
    ) -> LabelModel:
        """Fit by moment matching to a label matrix in memory.

        Args:
            L: (n, m) integers, each ABSTAIN or in 0..num_classes-1.
            num_classes: k, at least 2.
            class_balance: (k,) positive, sums to 1; None to estimate it.

        Raises:
            ValueError: `L` is no label matrix over k classes, or `class_balance` no balance of them.
            NotIdentifiable: there is no row or no program.
            SolverFailed: the convex solver gave no answer.
        """
        # Imported here: whoever only reads a label model needs no solver, and that file returns this class.
        from engine.label_model import moment_matching

        balance = None if class_balance is None else tuple(float(share) for share in class_balance)
        model = moment_matching.fit(Moments.of(L, num_classes), class_balance=balance)
        for warning in model.warnings:
            logger.warning("%s", warning)
        return model

    @property
    def num_programs(self) -> int:
        """m."""
        return self.evidence.num_programs

    @property
    def num_classes(self) -> int:
        """k."""
        return self.evidence.num_classes

    @property
    def theta(self) -> Floats:
        """(m, k+1, k) vote table: P(vote a by program j given class y), the last a is abstain."""
        votes: Floats = self.vote_rates[:, :, None] * self._given_vote() / self.evidence.prior
        # A program cannot vote more often than always: estimates that say so are scaled down.
        votes /= np.maximum(votes.sum(axis=1, keepdims=True), 1.0)
        # What is left is abstaining; rounding may leave less than nothing.
        left = np.maximum(1.0 - votes.sum(axis=1, keepdims=True), 0.0)
        table: Floats = np.concatenate([votes, left], axis=1)
        return table

    @property
    def accuracies(self) -> Floats:
        """(m,) estimated share of right votes among a program's votes; NaN for one that never votes."""
        right = (self.vote_rates * np.einsum("jaa->ja", self._given_vote())).sum(axis=1)
        total = self.vote_rates.sum(axis=1)
        accuracies: Floats = np.full(len(total), math.nan)
        np.divide(right, total, out=accuracies, where=total > 0)
        return accuracies

    def predict_proba(self, L: npt.NDArray[Any]) -> Floats:
        """Return soft labels, (n, k); see `operators.posterior.soft_labels`."""
        return soft_labels(L, self.evidence)

    def predict(self, L: npt.NDArray[Any]) -> Votes:
        """Return hard labels, (n,) int8; ABSTAIN for ties and rows without votes."""
        return hard_labels(self.predict_proba(L), L)[0]

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` gives back the same bits."""
        return {
            "method": self.method,
            "num_programs": self.num_programs,
            "num_classes": self.num_classes,
            "prior": self.evidence.prior.tolist(),
            "temperature": self.evidence.temperature,
            "evidence": self.evidence.table.tolist(),
            "vote_rates": self.vote_rates.tolist(),
            "vote_weights": self.vote_weights.tolist(),
            "warnings": list(self.warnings),
            "diagnostics": None if self.diagnostics is None else _plain(self.diagnostics),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> LabelModel:
        """Read what `to_json` returned.

        Raises:
            ValueError: a part is missing or has another shape than the rest.
        """
        try:
            m, k = content["num_programs"], content["num_classes"]
            found = content["diagnostics"]
            return cls(
                evidence=Evidence(
                    table=np.asarray(content["evidence"], np.float64).reshape(m, k + 1, k),
                    prior=np.asarray(content["prior"], np.float64),
                    temperature=float(content["temperature"]),
                ),
                method=content["method"],
                vote_rates=np.asarray(content["vote_rates"], np.float64).reshape(m, k),
                vote_weights=np.asarray(content["vote_weights"], np.float64).reshape(m, k),
                warnings=tuple(content["warnings"]),
                diagnostics=None if found is None else _diagnostics(found),
            )
        except KeyError as error:
            raise ValueError(f"a saved label model has no {error}; fit it again") from error

    def _given_vote(self) -> Floats:
        """(m, k, k) P(class y given vote a of program j alone), with the weight taken out again."""
        k = self.num_classes
        scores = self.evidence.table[:, :k] / self.vote_weights[:, :, None] + np.log(self.evidence.prior)
        given: Floats = np.exp(scores - scores.max(axis=2, keepdims=True))
        given /= given.sum(axis=2, keepdims=True)
        return given


def _plain(diagnostics: Diagnostics) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(asdict(diagnostics)))
    # JSON has no NaN.
    return {name: None if value != value else value for name, value in content.items()}


def _diagnostics(content: Mapping[str, Any]) -> Diagnostics:
    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in content.items()}
    values["class_balance"] = tuple(values["class_balance"])
    values["duplicates"] = tuple(Duplicate(**found) for found in values["duplicates"])
    return Diagnostics(**values)
