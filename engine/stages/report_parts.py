"""What the stages came to, and what the report says of a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.label_model.analysis import pairwise_agreement
from engine.reporting.images import ComparisonLine
from engine.reporting.nuisance import NuisanceFigures
from engine.reporting.parts import ProgramFigures
from engine.stages.admission import Admitted
from engine.stages.annotate import Annotated
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.distill import Distilled
from engine.stages.evaluate import Evaluation
from engine.stages.fit import Models
from engine.stages.label import Labeled
from engine.stages.votes import Voted
from engine.synthesis.programs import provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the stages came to.

    Attributes:
        predictions: digest in the names of the distilled model's predictions.
        comparison: of images.
        nuisance: of tasks that name one.
    """

    corpus: Corpus
    admitted: Admitted
    voted: Voted
    models: Models
    annotated: Annotated | None
    labeled: Labeled
    end_model: Distilled
    predictions: str
    evaluation: Evaluation
    comparison: Mapping[str, ComparisonLine] | None
    nuisance: NuisanceFigures | None


def program_figures(ctx: Context, parts: Parts, j: int) -> ProgramFigures:
    """Put together what is known of program `j` of those that were applied."""
    programs = parts.admitted.programs
    program, key = programs.programs[j], programs.keys[j]
    trial = parts.admitted.trials.get(program.name)
    tally = parts.voted.every.train + parts.voted.every.test
    row = tally.lf_summary()[j]
    source = provenance(program)
    used = parts.voted.keys.index(key) if key in parts.voted.keys else None
    judged = parts.evaluation.judged
    estimated = gold = low = high = None
    repeats: set[int] = set()
    agreement = None
    if used is not None:
        chosen = parts.models.chosen
        estimated = _number(chosen.accuracies[used])
        agreement = _mean_agreement(parts, used)
        if parts.models.intervals is not None:
            low, high = map(_number, parts.models.intervals.accuracies[used])
        for found in chosen.diagnostics.duplicates if chosen.diagnostics else ():
            if used in (found.program, found.other):
                repeats.add(found.other if used == found.program else found.program)
        if judged is not None and judged.voted[used]:
            gold = float(judged.right[used] / judged.voted[used])
    return ProgramFigures(
        name=program.name,
        digest=program.digest,
        coverage=row["Coverage"],
        overlaps=row["Overlaps"],
        conflicts=row["Conflicts"],
        polarity=tuple(ctx.task.class_names[y] for y in row["Polarity"]),
        faults=sum(tally.fault_counts(j).values()),
        message=parts.voted.messages.get(program.name),
        estimated_accuracy=estimated,
        estimated_low=low,
        estimated_high=high,
        agreement=agreement,
        repeats=tuple(parts.voted.names[other] for other in sorted(repeats)),
        gold_accuracy=gold,
        cpu_s_per_row=None if trial is None else trial.row_s,
        model=source.model,
        tokens_in=source.tokens_in,
        tokens_out=source.tokens_out,
        price=source.price,
        currency=source.currency,
    )


def _mean_agreement(parts: Parts, program: int) -> float | None:
    others = np.delete(pairwise_agreement(parts.voted.counts.moments)[program], program)
    met = others[~np.isnan(others)]
    return float(met.mean()) if len(met) else None


def _number(value: Any) -> float | None:
    return None if value != value else float(value)
