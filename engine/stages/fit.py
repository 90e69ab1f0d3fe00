"""The label model: fitted from moments, with majority vote always beside it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from engine.label_model import methods
from engine.label_model.intervals import Intervals, intervals_of
from engine.label_model.model import LabelModel
from engine.stages.context import Context
from engine.stages.gold import gold_counts
from engine.stages.inputs import Input, Inputs, given
from engine.stages.programs import ProgramSet
from engine.stages.votes import Voted

_VERSION = 3
"""Of the fitting code: raise it when the same moments give another model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What turns votes into soft labels.

    Attributes:
        chosen: the label model of the task.
        majority: majority vote over the same programs.
        digest: of both and of the programs they weigh.
        intervals: around accuracies and class balance; None where they were not estimated.
        gold_rows: that the label model was fitted with.
    """

    chosen: LabelModel
    majority: LabelModel
    digest: str
    intervals: Intervals | None
    gold_rows: int


def fit(ctx: Context, programs: ProgramSet, voted: Voted) -> Models:
    """Fit the label model on the training rows' moments.

    Raises:
        LabelModelError: the votes do not determine one.
        InputError, ConfigError: the gold labels that the task hands over cannot be used.
    """
    start = time.perf_counter()
    task, moments, patterns = ctx.task, voted.counts.moments, voted.counts.patterns
    counted = [moments.to_json(), hashlib.sha256(patterns.to_bytes()).hexdigest()]
    gold = gold_counts(ctx, programs, voted)
    gold_rows = 0 if gold is None else gold.num_rows
    known = None if gold is None else [gold.votes.tolist(), gold.classes.tolist()]
    inputs = Inputs(
        stage="fit",
        version=(_VERSION,),
        parts=(
            # Which programs vote is settled by then: those that were not quarantined.
            Input(name="the programs that vote", value=voted.keys, made_by=("apply",)),
            Input(name="the votes", value=counted, made_by=("apply",)),
            given("the class balance", task.prior),
            given("the label model's method", task.label_model.method),
            Input(name="the gold labels to fit with", value=known),
        ),
    )
    digest = inputs.digest
    majority = methods.fit("majority_vote", moments, patterns, class_balance=task.prior)
    record = ctx.reuse(inputs, complete=(ctx.run.path / "label_model.json").exists())
    if record is not None:
        chosen = LabelModel.from_json(ctx.run.read_json("label_model.json"))
        found = Intervals.from_json(record.result["intervals"]) if record.result["intervals"] else None
        return Models(chosen=chosen, majority=majority, digest=digest, intervals=found, gold_rows=gold_rows)
    chosen = methods.fit(task.label_model.method, moments, patterns, class_balance=task.prior, gold=gold)
    ctx.run.write_json("moments.json", {"programs": list(voted.names), "moments": moments.to_json()})
    ctx.run.write_json("label_model.json", chosen.to_json())
    found = intervals_of(chosen, patterns)
    result = {"intervals": None if found is None else found.to_json()}
    ctx.finish(inputs, since=start, rows=moments.num_rows, result=result)
    return Models(chosen=chosen, majority=majority, digest=digest, intervals=found, gold_rows=gold_rows)
