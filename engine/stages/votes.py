"""Votes: every program over every shard, in the sandbox; then the counts that fitting and people need."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import LabelModelError
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.inputs import Inputs
from engine.stages.programs import ProgramSet
from engine.stages.rows import seen_by_programs
from engine.stages.stream import cores_an_actor
from operators.apply import Applied, ApplyShard, actor_memory_bytes
from operators.counts import Counts, CountShard, counts_path, total
from operators.schema import Fault
from operators.storage import names_in
from operators.votes import Notes, VoteStore

_LONG_S = 30.0
"""Of CPU time on a core: above it the three seconds that an actor takes to start are a tenth and less. Below it the
programs run in workers that are up already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voted:
    """The label matrix, described.

    Attributes:
        keys: of the programs whose columns are used, in order.
        names: of the same programs.
        counts: over these columns.
        every: counts over all columns, quarantined ones included.
        quarantined: {name: why} of programs that are dropped as whole columns.
        messages: {name: message of the first fault}.
        level: of the sandbox, the lowest of any shard, 0..3.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    counts: Counts
    every: Counts
    quarantined: dict[str, str]
    messages: dict[str, str]
    level: int


def apply(ctx: Context, corpus: Corpus, programs: ProgramSet) -> Voted:
    """Compute the columns that are missing and count the label matrix.

    A program that any worker quarantined is dropped as a whole column, so that the label matrix never depends on
    which worker saw which shard.

    Raises:
        LabelModelError: every program was quarantined.
    """
    start = time.perf_counter()
    folder, names = ctx.run.shards, programs.named()
    parts = (*corpus.as_inputs(), programs.as_input(ctx.task))
    inputs = Inputs(stage="apply", version=(2,), parts=parts)
    store = VoteStore(folder)
    missing = store.missing(corpus.keys, programs.keys)
    uncounted = _uncounted(ctx, corpus, programs.keys)
    record = ctx.reuse(inputs, complete=not missing and not uncounted)
    if record is None:
        computed = _compute(ctx, corpus, programs, missing)
        _count(ctx, corpus, programs.keys)
        every = _total(ctx, corpus, programs.keys)
        result = _outcome(programs, every, store.notes(corpus.keys, programs.keys))
        rows = sum(applied.rows for applied in computed)
        anew = len({key for keys in missing.values() for key in keys})
        scope = f"{anew} of {len(names)} programs over {len(missing)} of {len(set(corpus.keys))} shards"
        record = ctx.finish(inputs, since=start, rows=rows, result=result, scope=scope)
    else:
        every = _total(ctx, corpus, programs.keys)
    # Told by key: a file may be renamed and keep its votes.
    stopped: dict[str, str] = record.result["quarantined"]
    quarantined = {names[key]: why for key, why in stopped.items()}
    for name, why in quarantined.items():
        ctx.warn(f"program {name} is quarantined and its votes are not used: {why}")
    keys = tuple(key for key in programs.keys if key not in stopped)
    if not keys:
        raise LabelModelError(
            "every program was quarantined: "
            + "; ".join(f"{name}: {why}" for name, why in quarantined.items())
            + ". Edit the programs or raise `sandbox.row_timeout_s`"
        )
    counts = every
    if keys != programs.keys:
        _count(ctx, corpus, keys)
        counts = _total(ctx, corpus, keys)
    return Voted(
        keys=keys,
        names=tuple(names[key] for key in keys),
        counts=counts,
        every=every,
        quarantined=quarantined,
        messages={names[key]: text for key, text in record.result["messages"].items()},
        level=record.result["level"],
    )


def _compute(ctx: Context, corpus: Corpus, programs: ProgramSet, missing: dict[str, tuple[str, ...]]) -> list[Applied]:
    """Run the missing programs, one execution for each set of programs that some shards lack."""
    source = {key: program.source for key, program in zip(programs.keys, programs.programs, strict=True)}
    by_set: dict[tuple[str, ...], list[str]] = defaultdict(list)
    rows: dict[str, int] = {}
    for shard in corpus.shards:
        if shard.key in missing:
            item = shard.to_json()
            by_set[missing[shard.key]].append(item)
            rows[item] = shard.num_rows
    applied = []
    for keys, items in by_set.items():
        VoteStore(ctx.run.shards).declare(keys)
        args: dict[str, Any] = {
            "folder": str(ctx.run.shards),
            "rows": corpus.rows,
            "text": seen_by_programs(ctx.task),
            "id_column": ctx.task.columns.id,
            "sources": [source[key] for key in keys],
            "program_keys": keys,
            "all_keys": programs.keys,
            "num_classes": ctx.task.num_classes,
        }
        # No more workers at a time than the actor has cores: programs that take turns on a core empty its caches.
        args["limits"] = limits = replace(programs.limits, inflight=cores_an_actor(ctx.session(), len(items)))
        slowest = ctx.task.shards.max_rows * len(keys) * limits.row_timeout_s
        stream = ctx.stream(
            "apply",
            items,
            ApplyShard,
            step_args=args,
            slowest_item_s=slowest,
            stateful=_worth_actors(programs, keys, rows=sum(rows[item] for item in items), cpus=ctx.session().num_cpus),
            memory_bytes=actor_memory_bytes(limits, num_programs=len(keys)),
        )
        applied += [Applied.from_bytes(result) for result in stream]
    return applied


def _worth_actors(programs: ProgramSet, keys: tuple[str, ...], *, rows: int, cpus: int) -> bool:
    """Say whether the work on each core is long beside the start of an actor; unknown work is taken for long."""
    known = [programs.row_s.get(key) for key in keys]
    work_s = sum(float("inf") if row_s is None else row_s for row_s in known) * rows
    return work_s / cpus > _LONG_S


def _count(ctx: Context, corpus: Corpus, keys: tuple[str, ...]) -> None:
    shards = _uncounted(ctx, corpus, keys)
    if shards:
        args = {
            "folder": str(ctx.run.shards),
            "rows": corpus.rows,
            "program_keys": keys,
            "num_classes": ctx.task.num_classes,
        }
        for _ in ctx.stream("count", shards, CountShard, step_args=args):
            pass


def _uncounted(ctx: Context, corpus: Corpus, keys: tuple[str, ...]) -> list[str]:
    folder, rows = ctx.run.shards, corpus.rows
    present = names_in(folder / "counts")
    return [
        key
        for key in dict.fromkeys(corpus.keys)
        if counts_path(folder, key, rows=rows, program_keys=keys).name not in present
    ]


def _total(ctx: Context, corpus: Corpus, keys: tuple[str, ...]) -> Counts:
    return total(ctx.run.shards, corpus.keys, rows=corpus.rows, program_keys=keys, num_classes=ctx.task.num_classes)


def _outcome(programs: ProgramSet, every: Counts, notes: Notes) -> dict[str, Any]:
    """Say by program key what went wrong first, and which programs are quarantined: the faults on disk decide that.

    A program that a worker stopped is out; so is one that fails on most rows of the corpus, which no worker notices
    where shards are small.
    """
    tally = every.train + every.test
    stopped = tally.faults[:, Fault.QUARANTINED] + tally.faults[:, Fault.VIOLATION] > 0
    failing = tally.faults.sum(axis=1) / max(1, tally.num_rows)
    quarantined = {}
    for j, key in enumerate(programs.keys):
        first = notes.messages.get(key, "")
        if stopped[j]:
            quarantined[key] = notes.quarantined.get(key, first)
        elif failing[j] > programs.limits.max_error_fraction:
            quarantined[key] = f"it fails on {failing[j]:.0%} of the rows; the first time: {first}"
    return {
        "messages": dict(notes.messages),
        "quarantined": quarantined,
        "level": notes.level,
        "figures": {
            key: {
                "coverage": row["Coverage"] if tally.num_rows else None,
                "faults": sum(tally.fault_counts(j).values()),
            }
            for j, (key, row) in enumerate(zip(programs.keys, tally.lf_summary(), strict=True))
        },
    }
