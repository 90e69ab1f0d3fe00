"""How a distilled model came about: what was chosen, on what grounds, and what the user should know."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.distillation.calibration import ReliabilityBin
from engine.distillation.choice import Candidate
from engine.distillation.self_training import SelfTraining


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """How a distilled model came about.

    Attributes:
        folder: of the model.
        head: "linear", "mlp" or "fine_tune".
        regularization: chosen L2 weight.
        epoch: chosen pass.
        heldout_loss: of the chosen weights, cross entropy with held-out soft labels, of rows that are thinned as in
            training; NaN where none were held out.
        candidates: every pass of every regularization, on held-out rows.
        trainer: "process" or "ray".
        trainer_reason: why that one.
        num_workers: processes that trained.
        num_rows: rows trained on or held out.
        num_heldout: of these, held out.
        learned_heldout: whether these were learned from in the end, once they had chosen; the loss, the predicted
            shares, the temperature and the reliability are of what was trained without them.
        soft_shares: {class: mean soft label of all rows}.
        predicted_shares: {class: share of held-out rows that are predicted to be of it}.
        feature_dropout: share of a row's features that was left out in training.
        setting: the safer one that was taken because the task's own loses a class, "" for the task's own.
        temperature: what scores are divided by, found on held-out soft labels.
        reliability: calibrated confidence of held-out rows beside the soft label of the predicted class.
        self_training: what uncovered rows brought, None where it is off.
        seconds: wall time.
        warnings: what the user should know.
    """

    folder: Path
    head: str
    regularization: float
    epoch: int
    heldout_loss: float
    candidates: tuple[Candidate, ...]
    trainer: str
    trainer_reason: str
    num_workers: int
    num_rows: int
    num_heldout: int
    learned_heldout: bool
    soft_shares: dict[str, float]
    predicted_shares: dict[str, float]
    feature_dropout: float
    setting: str
    temperature: float
    reliability: tuple[ReliabilityBin, ...]
    self_training: SelfTraining | None
    seconds: float
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: an undefined loss is null, candidates are the best pass of each regularization."""
        best: dict[float, Candidate] = {}
        for candidate in self.candidates:
            known = best.get(candidate.regularization)
            if known is None or candidate.rank() < known.rank():
                best[candidate.regularization] = candidate
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return content | {
            "folder": str(self.folder),
            "heldout_loss": None if math.isnan(self.heldout_loss) else self.heldout_loss,
            "candidates": [candidate.to_json() for candidate in best.values()],
            "reliability": [asdict(found) for found in self.reliability],
            "self_training": None if self.self_training is None else asdict(self.self_training),
            "warnings": list(self.warnings),
        }
