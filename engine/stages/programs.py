"""The programs of a run: taken from a folder, or written by the language model, and kept below the run directory.

A folder that the task names is the truth and is mirrored. Without one, what synthesis wrote lives in the run
directory, where people may edit it; it is written again only when what was asked for changes. A file that has to
make room is moved to `replaced/`, never deleted.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import ConfigError, ProgramRejected
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.inputs import Input, Inputs
from engine.stages.rows import seen_key
from engine.stages.trials import SampleTrial, limits_of, program_key
from engine.synthesis.programs import Program, load_folder, write
from engine.task import LabelingTask
from operators.sandbox.pool import Limits, Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSet:
    """The programs that will vote.

    Attributes:
        programs: in the order of their names.
        keys: a program's key covers its source and all else that changes its votes.
        rejected: {name: reasons} of files and answers that cannot be used.
        disabled: {name: reason} of programs that their headers keep from voting.
        limits: of the sandbox; one program a worker until admission settles it.
        level: of the sandbox on this machine, 0..3.
        layers: of the sandbox, in words.
        missing: layers that this machine does not offer, a sentence each.
        row_s: {key: CPU seconds a row}, of those that admission tried.
    """

    programs: tuple[Program, ...]
    keys: tuple[str, ...]
    rejected: dict[str, list[str]]
    limits: Limits
    level: int
    layers: tuple[str, ...]
    missing: tuple[str, ...]
    row_s: dict[str, float] = field(default_factory=dict)
    disabled: dict[str, str] = field(default_factory=dict)

    def named(self) -> dict[str, str]:
        """Map keys to names."""
        return {key: program.name for key, program in zip(self.keys, self.programs, strict=True)}

    def as_input(self, task: LabelingTask) -> Input:
        """Return the programs as what a stage's result follows from."""
        return Input(
            name="the programs",
            value=self.keys,
            kind="program",
            things={program.name: program.digest for program in self.programs},
            settings={
                "the number of classes": task.num_classes,
                "`columns.text`": seen_key(task),
                "`sandbox.row_timeout_s`": self.limits.row_timeout_s,
                "`sandbox.memory_bytes`": self.limits.memory_bytes,
            },
        )


def collect(ctx: Context, corpus: Corpus | None = None) -> ProgramSet:
    """Bring the programs together, load each in the sandbox once, and refuse those that do not load.

    Args:
        ctx: of the run.
        corpus: indexed; synthesis tries what the model writes on a sample of it and may quote its training rows where
            the task allows it. Without it programs are screened alone.

    Raises:
        ConfigError: there are no programs, or no way to get any, or all are disabled.
        ProgramRejected: not one program can be used.
        BudgetReached, LLMError: as synthesis.
        SandboxError: this machine offers less isolation than the task requires.
    """
    folder = ctx.run.path / "programs"
    if ctx.task.programs.folder is not None:
        rejected = _mirror(ctx, Path(ctx.task.programs.folder), folder)
    else:
        rejected = _written(ctx, folder, corpus)
    present, unusable = load_folder(folder)
    rejected |= {error.name: list(error.reasons) for error in unusable}
    disabled = {program.name: program.disabled for program in present if program.disabled is not None}
    programs = [program for program in present if program.name not in disabled]
    if disabled and not programs:
        raise ConfigError(
            f"{folder}: every program that can be used is disabled ({', '.join(disabled)}); "
            "`alchemist programs enable` takes one back into use"
        )
    if ctx.concepts is not None:
        # Votes are kept under what runs; people's files are told by what stands in them.
        ctx.run.note(unbound={program.name: program.digest for program in programs})
        programs, unbound = ctx.concepts.bound_all(programs)
        rejected |= unbound
    limits = limits_of(ctx.task)
    with Sandbox([p.source for p in programs], num_classes=ctx.task.num_classes, limits=limits) as sandbox:
        outcome = sandbox.run([], seed=0)
        level, layers, missing = sandbox.level, sandbox.layers, sandbox.missing
    if level < 3:
        ctx.warn(f"the sandbox has isolation level {level} of 3 on this machine: {'; '.join(missing)}")
    usable, broken = [], {}
    for program, problem in zip(programs, outcome.load_errors, strict=True):
        if problem is None:
            usable.append(program)
        else:
            broken[program_key(ctx.task, program.digest)] = problem
            rejected[program.name] = [f"it does not load in the sandbox: {problem}"]
    for name, reasons in rejected.items():
        ctx.warn(f"program {name} is rejected: {'; '.join(reasons)}")
    if not usable:
        raise ProgramRejected(", ".join(rejected), tuple(r for reasons in rejected.values() for r in reasons))
    keys = tuple(program_key(ctx.task, program.digest) for program in usable)
    # So that whoever reads votes/ can tell whose column is whose, and `alchemist programs list` why one has none.
    ctx.run.note(programs={program.name: key for program, key in zip(usable, keys, strict=True)}, not_loading=broken)
    return ProgramSet(
        programs=tuple(usable),
        keys=keys,
        rejected=rejected,
        limits=limits,
        level=level,
        layers=layers,
        missing=missing,
        disabled=disabled,
    )


def _mirror(ctx: Context, source: Path, folder: Path) -> dict[str, list[str]]:
    """Make the run's programs those of the user's folder; a file that is no program is left out, with the reasons."""
    programs, unusable = load_folder(source)
    if not programs:
        raise ProgramRejected(
            ", ".join(e.name for e in unusable), tuple(reason for e in unusable for reason in e.reasons)
        )
    if source.resolve() != folder.resolve():
        ctx.run.forget("synthesis")
        _replace(ctx, programs, folder)
    return {error.name: list(error.reasons) for error in unusable}


def _written(ctx: Context, folder: Path, corpus: Corpus | None) -> dict[str, list[str]]:
    task = ctx.task
    spec = task.language_model
    inputs = _inputs(ctx, corpus)
    there = sorted(folder.glob("*.py"))
    known = ctx.run.record("synthesis")
    if there and known is not None and known.digest == inputs.digest:
        ctx.reuse(inputs)
        return dict(known.result["rejected"])
    own = known is None and not ctx.run.noted("writing_programs")
    if there and (spec is None or own):
        # From an earlier --programs, or put there by hand: the user's own, and nobody is paid to replace them.
        return {}
    if spec is None:
        raise ConfigError(
            "there are no programs: name a folder of them in `programs.folder` or with --programs, or a "
            "`language_model` that writes them"
        )
    # Only here, so that a run whose programs are there needs neither client nor templates.
    from engine.stages.knowledge import prepare
    from engine.synthesis.ledger import Ledger
    from engine.synthesis.llm import OpenAIModel
    from engine.synthesis.outcome import set_aside
    from engine.synthesis.synthesize import synthesize

    start = time.perf_counter()
    rows = task.synthesis.sample_rows
    trial = SampleTrial(ctx, corpus, rows=rows) if corpus is not None and rows else None
    ctx.watch.begin("synthesis", task.programs.count)
    with Ledger.open(ctx.run.path / "completions.sqlite") as ledger:
        knowledge = prepare(ctx, corpus, ledger)
        # Only now does the knowledge that programs rest on stand in its files.
        inputs = _inputs(ctx, corpus)
        with OpenAIModel(spec, ledger, task.budget) as model:
            done = synthesize(
                task,
                model,
                count=task.programs.count,
                knowledge=knowledge,
                trial=trial,
                concepts=ctx.concepts,
                on_answer=lambda _: ctx.watch.advance("synthesis"),
            )
    ctx.reuse(inputs, complete=False)
    # If this process dies while it writes, half of the programs are not taken for the user's own.
    ctx.run.note(writing_programs=True)
    _replace(ctx, done.programs, folder)
    set_aside(done.slots, folder / "rejected")
    rejected = {slot.name: list(slot.reasons) for slot in done.rejected}
    if not done.programs:
        raise ProgramRejected(", ".join(rejected), tuple(r for reasons in rejected.values() for r in reasons))
    scope = f"{len(done.programs)} programs"
    result = {"rejected": rejected, "figures": {**done.counts(), "stop": done.stop}}
    ctx.finish(inputs, since=start, rows=None, result=result, scope=scope)
    ctx.run.note(writing_programs=False)
    return rejected


def _inputs(ctx: Context, corpus: Corpus | None) -> Inputs:
    """Name all that changes the prompts."""
    from engine.stages.knowledge import state

    task, spec = ctx.task, ctx.task.language_model
    settings: dict[str, Any] = {
        "the task's name": task.name,
        "the instruction": task.instruction,
        "the knowledge": task.knowledge,
        "the classes": [c.model_dump() for c in task.classes],
        "`modality`": task.modality,
        "`columns.fields`": task.columns.fields,
        "`programs.count`": task.programs.count,
        **{f"`synthesis.{name}`": value for name, value in task.synthesis.model_dump(mode="json").items()},
    }
    if spec is not None:
        names = ("provider", "model", "base_url", "temperature", "max_output_tokens", "extra")
        settings |= {f"`language_model.{name}`": getattr(spec, name) for name in names}
    if ctx.concepts is not None:
        settings["`scoring.normalisation`"] = task.scoring.normalisation
    value: list[object] = [list(settings.values()), state(ctx, corpus)]
    if ctx.concepts is not None:
        traits = ctx.concepts.traits
        value += [[concept.model_dump() for concept in ctx.concepts.used], [traits.row, traits.scale]]
    part = Input(name="what is asked for", value=value, settings=settings)
    return Inputs(stage="synthesis", version=(2,), parts=(part,))


def _replace(ctx: Context, programs: Sequence[Program], folder: Path) -> None:
    """Write programs in the place of those that are there; what differs is kept, since people edit these files."""
    texts = {f"{program.name}.py": program.text for program in programs}
    for path in sorted(folder.glob("*.py")):
        old = path.read_bytes()
        if texts.get(path.name, "").encode() != old:
            kept = folder / "replaced" / f"{path.stem}-{hashlib.sha256(old).hexdigest()[:8]}.py"
            kept.parent.mkdir(exist_ok=True)
            path.replace(kept)
            ctx.warn(f"program {path.stem} of the run directory was replaced; what stood there is now {kept}")
    for program in programs:
        if not (folder / f"{program.name}.py").exists():
            write(program, folder)
