"""The label model as a value: what a fit returns, what is saved, what labels rows.

An evidence table, a prior and a temperature are all that soft labels need. The vote table theta and the
accuracies are derived from them, for people.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.label_model.diagnostics import Diagnostics, from_plain, to_plain
from engine.label_model.gold import GoldCounts
from engine.metrics import Metrics, figures
from operators.confusion import Confusion
from operators.moments import Moments
from operators.patterns import Patterns
from operators.posterior import TIE, Evidence, hard_labels, soft_labels
from operators.schema import ABSTAIN, Floats, Votes

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelModel:
    """A fitted label model over m programs and k classes.

    Attributes:
        evidence: what soft labels are made from.
        method: by which it was fitted, one of `engine.label_model.methods.METHODS`.
        vote_rates: (m, k), share of all rows in which a program votes a class, 0..1.
        given_vote: (m, k, k) P(class y given vote a of a program alone).
        class_balance: (k,) P(Y) that `given_vote` goes with; the prior may be another, shrunk one.
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
    given_vote: Floats
    class_balance: Floats
    vote_weights: Floats
    warnings: tuple[str, ...] = ()
    diagnostics: Diagnostics | None = None

    def __post_init__(self) -> None:
        m, k = self.evidence.num_programs, self.evidence.num_classes
        shapes = {"vote_rates": (m, k), "given_vote": (m, k, k), "class_balance": (k,), "vote_weights": (m, k)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")

    @classmethod
    def fit(
        cls,
        L: npt.NDArray[Any],
        *,
        num_classes: int,
        class_balance: Sequence[float] | None = None,
        method: str = "moment_matching",
        gold: npt.NDArray[Any] | None = None,
    ) -> LabelModel:
        """Fit to a label matrix in memory.

        Args:
            L: (n, m) integers, each ABSTAIN or in 0..num_classes-1.
            num_classes: k, at least 2.
            class_balance: (k,) positive, sums to 1; None to estimate it.
            method: one of `engine.label_model.methods.METHODS`.
            gold: (n,) classes, ABSTAIN where unknown; twenty to a hundred known ones help. Left out, no gold is used.

        Raises:
            ValueError: `L` is no label matrix over k classes, `class_balance` no balance of them, or `method` unknown.
            NotIdentifiable: there is no row or no program.
            SolverFailed: the convex solver gave no answer.
        """
        # Imported here: whoever only reads a label model needs no solver, and that file returns this class.
        from engine.label_model import methods

        balance = None if class_balance is None else tuple(float(share) for share in class_balance)
        counts = Moments.of(L, num_classes), Patterns.of(L, num_classes)
        known = None if gold is None else GoldCounts.of(L, gold, num_classes)
        model = methods.fit(method, *counts, class_balance=balance, gold=known)
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
        votes: Floats = self.vote_rates[:, :, None] * self.given_vote / self.class_balance
        # A program cannot vote more often than always: estimates that say so are scaled down.
        votes /= np.maximum(votes.sum(axis=1, keepdims=True), 1.0)
        # What is left is abstaining; rounding may leave less than nothing.
        left = np.maximum(1.0 - votes.sum(axis=1, keepdims=True), 0.0)
        table: Floats = np.concatenate([votes, left], axis=1)
        return table

    @property
    def accuracies(self) -> Floats:
        """(m,) estimated share of right votes among a program's votes; NaN for one that never votes."""
        right = (self.vote_rates * np.einsum("jaa->ja", self.given_vote)).sum(axis=1)
        total = self.vote_rates.sum(axis=1)
        accuracies: Floats = np.full(len(total), math.nan)
        np.divide(right, total, out=accuracies, where=total > 0)
        return accuracies

    def predict_proba(self, L: npt.NDArray[Any]) -> Floats:
        """Return soft labels, (n, k); see `operators.posterior.soft_labels`."""
        return soft_labels(L, self.evidence)

    def predict(
        self, L: npt.NDArray[Any], *, tie_break: Literal["abstain", "random"] = "abstain", seed: int = 0
    ) -> Votes:
        """Return hard labels, (n,) int8; ABSTAIN for rows without votes.

        Args:
            L: (n, m) as in `fit`.
            tie_break: what a row gets whose most likely classes tie: ABSTAIN, or one of them at random.
            seed: of that choice.
        """
        soft = self.predict_proba(L)
        labels, reasons = hard_labels(soft, L)
        tied = np.flatnonzero(reasons == "tie") if tie_break == "random" else np.array([], np.intp)
        # The largest of as many draws as classes: each of the tied ones is as likely.
        draws = np.random.default_rng(seed).random((len(tied), self.num_classes))
        likely = soft[tied] >= soft[tied].max(axis=1, keepdims=True, initial=0.0) - TIE
        labels[tied] = np.where(likely, draws, -1.0).argmax(axis=1)
        return labels

    def score(self, L: npt.NDArray[Any], gold: npt.NDArray[Any], *, positive_class: int | None = None) -> Metrics:
        """Compare with gold labels, by the definitions of the report: a tie of t classes counts as 1/t.

        Args:
            L: (n, m) as in `fit`.
            gold: (n,) classes, ABSTAIN where unknown.
            positive_class: whose F1 is stated for two classes; the last unless told.

        Raises:
            ValueError: no row has gold, or `gold` has another length.
        """
        if gold.shape != (len(L),):
            raise ValueError(f"gold must have shape ({len(L)},), got {gold.shape}")
        known = gold != ABSTAIN
        soft = self.predict_proba(L[known])
        labels, _ = hard_labels(soft, L[known])
        covered = (L[known] != ABSTAIN).any(axis=1)
        k = self.num_classes
        return figures(
            Confusion.of(gold[known].astype(np.int64), labels, soft, covered),
            class_names=[str(y) for y in range(k)],
            positive_class=k - 1 if positive_class is None else positive_class,
            largest_prior=int(np.argmax(self.evidence.prior)),
        )

    def save(self, path: str | Path) -> None:
        """Write as JSON, whole or not at all, in the place of what is there."""
        # Imported here, as it brings Arrow, and the command line imports this file to say its help.
        from operators.commit import commit

        text = json.dumps(self.to_json(), allow_nan=False) + "\n"
        commit(Path(path), lambda p: p.write_text(text, encoding="utf-8"), replace=True)

    @classmethod
    def load(cls, path: str | Path) -> LabelModel:
        """Read what `save` wrote, and `label_model.json` of a run.

        Raises:
            ValueError: the file is no saved label model.
        """
        try:
            content: Mapping[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: not JSON ({error}); expected what `LabelModel.save` writes") from error
        return cls.from_json(content)

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
            "given_vote": self.given_vote.tolist(),
            "class_balance": self.class_balance.tolist(),
            "vote_weights": self.vote_weights.tolist(),
            "warnings": list(self.warnings),
            "diagnostics": None if self.diagnostics is None else to_plain(self.diagnostics),
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
                given_vote=np.asarray(content["given_vote"], np.float64).reshape(m, k, k),
                class_balance=np.asarray(content["class_balance"], np.float64),
                vote_weights=np.asarray(content["vote_weights"], np.float64).reshape(m, k),
                warnings=tuple(content["warnings"]),
                diagnostics=None if found is None else from_plain(found),
            )
        except KeyError as error:
            raise ValueError(f"a saved label model has no {error}; fit it again") from error
