"""Whether votes and labels follow a column that the user names as a nuisance; label-free, so it warns without gold."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from operator import add

import numpy as np

from engine.association import Association, association
from engine.reporting.nuisance import Dependence, NuisanceFigures
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.inputs import Input, Inputs, given
from engine.stages.label import Labeled
from engine.stages.rows import text_of
from engine.stages.votes import Voted
from operators.nuisance import Crossed, NuisanceShard

LEAST = 0.1
"""Cohen's small effect; of a million rows even a V of 0.005 is no chance, and no harm either."""

_VALUES = 20
"""Of the column, that the report lists."""

_NAMED = 5
"""Programs that the warning names."""


def follow(ctx: Context, corpus: Corpus, voted: Voted, labeled: Labeled, *, predictions: str) -> NuisanceFigures | None:
    """Count answers by the column, and warn of those that follow it; None where the task names none.

    Raises:
        InputError: the column holds too many values.
    """
    start, task = time.perf_counter(), ctx.task
    column = task.columns.nuisance
    if column is None:
        return None
    inputs = Inputs(
        stage="nuisance",
        version=(1,),
        parts=(
            *corpus.as_inputs(),
            Input(name="the programs that vote", value=voted.keys, made_by=("apply",)),
            Input(name="the labels", value=labeled.digest, made_by=("label",)),
            Input(name="the predictions", value=predictions, made_by=("predict",)),
            given("`columns.nuisance`", column),
            given("`seed`", task.seed),
        ),
    )
    record = ctx.reuse(inputs)
    if record is None:
        args = {
            "folder": str(ctx.run.shards),
            "text": text_of(task),
            "id_column": task.columns.id,
            "column": column,
            "num_classes": task.num_classes,
            "program_keys": voted.keys,
            "labels": labeled.digest,
            "predictions": predictions,
        }
        items = [shard.to_json() for shard in corpus.shards]
        parts = map(Crossed.from_json, ctx.stream("nuisance", items, NuisanceShard, step_args=args))
        crossed = reduce(add, parts, Crossed(counts={}))
        found = [asdict(made) for made in measured(crossed, num_answers=len(voted.keys) + 2, seed=task.seed)]
        result = {"crossed": crossed.to_json(), "found": found}
        record = ctx.finish(inputs, since=start, rows=corpus.counts.rows, result=result)
    crossed = Crossed.from_json(json.dumps(record.result["crossed"]))
    measures = [Association(**made) for made in record.result["found"]]
    # Scored rows have the column under a name of their own; people are told theirs.
    named = ctx.run.noted("task")["columns"]["nuisance"]
    made = figures(crossed, measures, column=named, names=voted.names, class_names=task.class_names)
    _warn(ctx, made)
    return made


def measured(crossed: Crossed, *, num_answers: int, seed: int) -> list[Association]:
    """Measure how much each answer goes with the column.

    Args:
        crossed: counts over the corpus.
        num_answers: of programs, labels and distilled model.
        seed: of the tables by chance; each answer has its own draws, so that no program's figure hangs on another.
    """
    if not crossed.counts:
        return [Association(cramers_v=None, by_chance=None)] * num_answers
    tables = np.stack([crossed.counts[value] for value in sorted(crossed.counts)], axis=1)
    return [association(table, np.random.default_rng(seed)) for table in tables]


def figures(
    crossed: Crossed, found: Sequence[Association], *, column: str, names: Sequence[str], class_names: Sequence[str]
) -> NuisanceFigures:
    """Put together what the report says.

    Args:
        crossed: counts over the corpus.
        found: what `measured` returned.
        column: its name.
        names: (m,) of the programs.
        class_names: (k,) in the order of the indices.
    """
    rows = {value: int(table[0].sum()) for value, table in crossed.counts.items()}
    frequent = sorted(rows, key=lambda value: (-rows[value], value))[:_VALUES]
    said = [_dependence(made) for made in found]
    return NuisanceFigures(
        column=column,
        rows=sum(rows.values()),
        num_values=len(rows),
        least=LEAST,
        labels=said[-2],
        end_model=said[-1],
        programs=dict(zip(names, said, strict=False)),
        labels_by_value={
            value: dict(zip(class_names, crossed.counts[value][-2].tolist(), strict=False)) for value in frequent
        },
    )


def _dependence(made: Association) -> Dependence:
    v, by_chance = made.cramers_v, made.by_chance
    follows = v is not None and by_chance is not None and v >= LEAST and v > by_chance
    return Dependence(cramers_v=v, by_chance=by_chance, follows=follows)


def _warn(ctx: Context, made: NuisanceFigures) -> None:
    if made.rows == 0:
        ctx.warn(f"`columns.nuisance`: column {made.column!r} has no value on any row")
    following = [(name, d) for name, d in made.programs.items() if d.follows]
    following.sort(key=lambda entry: (-(entry[1].cramers_v or 0.0), entry[0]))
    more = [f"{len(following) - _NAMED} more programs"] if len(following) > _NAMED else []
    told = [("the labels", made.labels), ("the distilled model", made.end_model)]
    said = [f"{name} {d.cramers_v:.2f}" for name, d in told if d.follows]
    said += [f"program {name} {d.cramers_v:.2f}" for name, d in following[:_NAMED]] + more
    if said:
        ctx.warn(
            f"answers follow {made.column!r}, the nuisance (Cramér's V, 0 to 1): {', '.join(said)}. Where the classes "
            "themselves do not go with it, the programs that stand out decide by it: edit or disable them"
        )
