"""Whether votes and labels follow a column that the user names as a nuisance; label-free, so it warns without gold."""

from __future__ import annotations

import json
import time
from functools import reduce
from operator import add

import numpy as np

from engine.association import association
from engine.reporting.nuisance import Dependence, NuisanceFigures
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.inputs import Input, Inputs, given
from engine.stages.label import Labeled
from engine.stages.rows import text_of
from engine.stages.votes import Voted
from operators.nuisance import Crossed, NuisanceShard
from operators.schema import Counts

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
        content = reduce(add, parts, Crossed(counts={})).to_json()
        record = ctx.finish(inputs, since=start, rows=corpus.counts.rows, result={"crossed": content})
    crossed = Crossed.from_json(json.dumps(record.result["crossed"]))
    # Scored rows have the column under a name of their own; people are told theirs.
    named = ctx.run.noted("task")["columns"]["nuisance"]
    made = figures(crossed, column=named, names=voted.names, class_names=task.class_names, seed=task.seed)
    _warn(ctx, made)
    return made


def figures(
    crossed: Crossed, *, column: str, names: tuple[str, ...], class_names: tuple[str, ...], seed: int
) -> NuisanceFigures:
    """Work out the figures.

    Args:
        crossed: counts over the corpus.
        column: its name.
        names: (m,) of the programs.
        class_names: (k,) in the order of the indices.
        seed: of the tables by chance; each answer has its own draws, so that no program's figure hangs on another.
    """
    values = sorted(crossed.counts, key=lambda value: (-int(crossed.counts[value][0].sum()), value))
    tables = np.array([crossed.counts[value] for value in values], np.int64)
    if not values:
        tables = np.zeros((0, len(names) + 2, len(class_names) + 1), np.int64)
    found = [_dependence(tables[:, answer], seed) for answer in range(len(names) + 2)]
    return NuisanceFigures(
        column=column,
        rows=int(tables[:, 0].sum()),
        num_values=len(values),
        least=LEAST,
        labels=found[-2],
        end_model=found[-1],
        programs=dict(zip(names, found, strict=False)),
        labels_by_value={
            value: dict(zip(class_names, crossed.counts[value][-2].tolist(), strict=False))
            for value in values[:_VALUES]
        },
    )


def _dependence(table: Counts, seed: int) -> Dependence:
    made = association(table, np.random.default_rng(seed))
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
