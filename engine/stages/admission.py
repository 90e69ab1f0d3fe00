"""Admission: each program is tried on a sample of the training rows before it runs over all rows.

What was measured is kept by program, so that an edited program alone is tried again, and a verdict never flips
because the machine was busy at a second look.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from engine.errors import ProgramRejected
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.inputs import Input, Inputs
from engine.stages.programs import ProgramSet
from engine.stages.trials import Tries, terms_of
from engine.task_parts import SandboxSpec
from operators.admission import Trial, try_out

logger = logging.getLogger(__name__)

_CHEAP_ROW_S = 10e-6
"""CPU seconds a row below which a worker of its own costs a program 5% or more (benchmarks/sandbox_throughput.py)."""

_GROUP = 16
"""Cheap programs in a worker: the cost of a worker is then a sixteenth, and a crash takes few along."""

_MANY = 32
"""Workers for a shard, above which programs share them: a fork each would be felt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The programs that may vote, and what the trial found.

    Attributes:
        programs: those admitted; `limits.group_size` is settled.
        trials: {name: trial}, of those not admitted too; empty where the task wants no trial.
    """

    programs: ProgramSet
    trials: dict[str, Trial]


def admit(ctx: Context, corpus: Corpus, programs: ProgramSet) -> Admitted:
    """Try the programs that were not tried yet, and leave out those that break the terms of the task.

    Raises:
        ProgramRejected: not one program is admitted.
        SandboxError, InputError: the trial itself failed.
    """
    spec = ctx.task.admission
    trials = _trials(ctx, corpus, programs) if spec.rows else {}
    if not spec.rows:
        ctx.warn("`admission.rows` is 0: programs run over the whole corpus untried")
    terms = terms_of(ctx.task)
    rejected, kept = dict(programs.rejected), []
    for j, program in enumerate(programs.programs):
        trial = trials.get(program.name)
        problems = () if trial is None else terms.problems(trial)
        if problems:
            rejected[program.name] = list(problems)
            ctx.warn(f"program {program.name} is not admitted: {'; '.join(problems)}")
            continue
        kept.append(j)
        if trial is not None and trial.num_rows and trial.abstain_fraction == 1:
            ctx.warn(f"program {program.name} voted on none of {trial.num_rows} rows of the corpus")
    if not kept:
        raise ProgramRejected(
            ", ".join(p.name for p in programs.programs), tuple(r for reasons in rejected.values() for r in reasons)
        )
    speeds = {programs.keys[j]: trials[programs.programs[j].name].row_s for j in kept} if trials else {}
    row_s = list(speeds.values())
    size = group_size(ctx.task.sandbox, num_programs=len(kept), row_s=row_s)
    if row_s:
        logger.debug(
            "admission: %d of %d programs, %.1f us a row for all, %d to a worker",
            len(kept),
            len(programs.programs),
            sum(row_s) * 1e6,
            size,
        )
    admitted = replace(
        programs,
        programs=tuple(programs.programs[j] for j in kept),
        keys=tuple(programs.keys[j] for j in kept),
        rejected=rejected,
        limits=replace(programs.limits, group_size=size),
        row_s=speeds,
    )
    return Admitted(programs=admitted, trials=trials)


def group_size(spec: SandboxSpec, *, num_programs: int, row_s: list[float]) -> int:
    """Settle how many programs share a worker.

    Args:
        spec: of the task.
        num_programs: m.
        row_s: CPU seconds a row of each program, empty where they were not measured.
    """
    if spec.group_size == "all":
        return num_programs
    if spec.group_size != "auto":
        return spec.group_size
    if row_s and median(row_s) < _CHEAP_ROW_S:
        return min(_GROUP, num_programs)
    return -(-num_programs // _MANY)


def measured_speed(run: Path) -> dict[str, float]:
    """Return the CPU seconds a row that trials found of a run's programs, by their keys; empty where there were none.

    Reads alone, so that a run that is under way is no hindrance.
    """
    path = run / "run.json"
    if not path.exists():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    record = content["stages"].get("admission")
    trials = {} if record is None else record["result"]["trials"]
    return {key: trials[key]["row_s"] for key in content.get("programs", {}).values() if key in trials}


def _trials(ctx: Context, corpus: Corpus, programs: ProgramSet) -> dict[str, Trial]:
    start = time.perf_counter()
    spec, names = ctx.task.admission, programs.named()
    tries = Tries(ctx=ctx, corpus=corpus, rows=spec.rows)
    sample = tries.sample
    known = _known(ctx, sample)
    inputs = Inputs(
        stage="admission",
        version=(1,),
        parts=(
            Input(name="the sample", value=sample, settings={"`admission.rows`": spec.rows}, made_by=("index",)),
            programs.as_input(ctx.task),
        ),
    )
    if ctx.reuse(inputs) is not None:
        return {names[key]: known[key] for key in programs.keys}
    # What was tried while it was written is not tried again, and its verdict stays.
    known = {key: seen.trial for key, seen in tries.known(programs.keys).items()} | dict(known)
    untried = [j for j, key in enumerate(programs.keys) if key not in known]
    if untried:
        known |= _tried(ctx, tries, programs, untried)
    # Those of programs that are disabled now are kept too, so that enabling one costs nothing.
    result = {"sample": sample, "trials": {key: asdict(trial) for key, trial in known.items()}}
    scope = f"{len(untried)} of {len(programs.keys)} programs"
    ctx.finish(inputs, since=start, rows=None, result=result, scope=scope)
    return {names[key]: known[key] for key in programs.keys}


def _known(ctx: Context, sample: str) -> Mapping[str, Trial]:
    record = ctx.run.record("admission")
    if record is None or record.result["sample"] != sample:
        return {}
    return {key: Trial(**values) for key, values in record.result["trials"].items()}


def _tried(ctx: Context, tries: Tries, programs: ProgramSet, untried: list[int]) -> dict[str, Trial]:
    sources = [programs.programs[j].source for j in untried]
    trials = try_out(
        sources,
        tries.texts(),
        num_classes=ctx.task.num_classes,
        limits=programs.limits,
        max_row_s=ctx.task.admission.max_row_s,
    )
    return {programs.keys[j]: trial for j, trial in zip(untried, trials, strict=True)}
