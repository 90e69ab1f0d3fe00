"""Changing the programs of a run: edit, add, disable, enable.

Each change takes the lock of the run, so that no run sees half of one; is checked as the next run would check it; and
loses nothing: what an edit replaces is kept, and a disabled program stays where it is, with its votes. None of them
touches what synthesis wrote down, so no language model is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

from engine.errors import ConfigError, ProgramRejected
from engine.stages.library import Library, Version, read_version
from engine.stages.trials import limits_of
from engine.store import RunDirectory
from engine.synthesis import history
from engine.synthesis.programs import Program, from_text, load_folder, split, write
from operators.sandbox.pool import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one program.

    Attributes:
        name: of the program.
        action: `noted` is an edit of the header alone, after which no vote is computed anew.
        file: that was written, or would have been.
        digest: of its source now.
        kept: where the version before it is.
    """

    name: str
    action: Literal["edited", "noted", "added", "disabled", "enabled", "unchanged"]
    file: Path
    digest: str
    kept: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        kept = None if self.kept is None else str(self.kept)
        return {"name": self.name, "action": self.action, "file": str(self.file), "digest": self.digest, "kept": kept}


def check_free(library: Library) -> None:
    """Refuse early what could not be saved later: a run is at work, or stopped halfway through synthesis.

    Raises:
        ConfigError: says which.
    """
    with RunDirectory(library.run) as run:
        _refuse_halfway(run)


def edit(library: Library, name: str, text: str, *, when: date, by: str | None, base: Version | None = None) -> Change:
    """Put another text in the place of a program's.

    Its provenance stays what it was, and a line on the edit joins it. Whether it is disabled does not change.

    Args:
        library: whose program it is.
        name: of the program.
        text: of the whole file; a header is not needed.
        when: told in the header.
        by: likewise, None for nobody.
        base: what the text was made from; refused if the file has changed since.

    Raises:
        ProgramRejected: the text is no program that can be used, or one that is there already.
        ConfigError: there is no such program, it changed meanwhile, or a run is at work.
    """
    with RunDirectory(library.run) as run:
        _refuse_halfway(run)
        old = library.now(name)
        if base is not None and old.text != base.text:
            raise ConfigError(f"{old.path} was changed by somebody else meanwhile; look at it and edit it again")
        header, source = split(old.text)
        program = _program(name, text, where=old.path)
        lasting = history.carry_over(header, program.header)
        if program.source == source:
            noted = replace(program, header=lasting)
            if noted.text != old.text:
                _save(library, noted, old=old.text)
            action: Literal["noted", "unchanged"] = "unchanged" if noted.text == old.text else "noted"
            return Change(name=name, action=action, file=old.path, digest=old.digest)
        _refuse_twins(library, [program])
        _refuse_broken(library, [program])
        kept = library.keep(name)
        edited = replace(program, header=history.tell_edit(lasting, when=when, by=by, was=old.digest))
        return Change(
            name=name, action="edited", file=_save(library, edited, old=old.text), digest=edited.digest, kept=kept
        )


def add(library: Library, files: Sequence[str | Path], *, when: date) -> tuple[Change, ...]:
    """Take programs in, all or none.

    Raises:
        ProgramRejected: one of the files is no program that can be used, or one that is there already.
        ConfigError: a file cannot be read, a name is taken, or a run is at work.
    """
    with RunDirectory(library.run) as run:
        _refuse_halfway(run)
        there = {path.stem for path in library.folder.glob("*.py")}
        if library.own and not there and library.task.language_model is not None:
            raise ConfigError(
                "the language model has not written the programs yet, and a run would take yours in their place; "
                "run `alchemist synthesize` first, or leave `language_model` out of the task"
            )
        programs = []
        for path in map(Path, files):
            if path.suffix != ".py":
                raise ConfigError(f"{path}: a program is a `*.py` file that defines `label_function`")
            if path.stem in there:
                raise ConfigError(
                    f"{library.folder}: there is a program {path.stem} already; edit that one, or rename {path}"
                )
            there.add(path.stem)
            program = _program(path.stem, read_version(path.stem, path).text, where=path)
            told = history.tell_addition(program.header, when=when, source=str(path.resolve()))
            programs.append(replace(program, header=told))
        _refuse_twins(library, programs)
        _refuse_broken(library, programs)
        return tuple(
            Change(name=p.name, action="added", file=write(p, library.folder), digest=p.digest) for p in programs
        )


def disable(library: Library, names: Sequence[str], *, reason: str) -> tuple[Change, ...]:
    """Keep programs from voting; their files and their votes stay.

    Raises:
        ConfigError: there is no such program, none would be left, or a run is at work.
    """

    def check(usable: dict[str, Program], active: set[str]) -> None:
        if not active - set(names):
            raise ConfigError(
                f"{library.folder}: without {', '.join(names)} no program would be left to vote; add or enable another "
                "first"
            )

    return _switch(library, names, lambda header: history.disable(header, reason=reason), "disabled", check)


def enable(library: Library, names: Sequence[str]) -> tuple[Change, ...]:
    """Let disabled programs vote again; votes that they have are not computed anew.

    Raises:
        ConfigError: there is no such program, or a run is at work.
        ProgramRejected: another program that votes is the same.
    """

    def check(usable: dict[str, Program], active: set[str]) -> None:
        digests = {usable[name].digest: name for name in sorted(active)}
        for name in names:
            twin = digests.setdefault(usable[name].digest, name)
            if twin != name:
                raise ProgramRejected(name, (f"it is the same program as {twin}; disable that one first",))

    return _switch(library, names, history.enable, "enabled", check)


def _switch(
    library: Library,
    names: Sequence[str],
    change: Callable[[str], str],
    action: Literal["disabled", "enabled"],
    check: Callable[[dict[str, Program], set[str]], None],
) -> tuple[Change, ...]:
    names = list(dict.fromkeys(names))
    with RunDirectory(library.run) as run:
        _refuse_halfway(run)
        programs, unusable = load_folder(library.folder)
        usable = {program.name: program for program in programs}
        for name in names:
            library.path(name)  # there is such a file
            why = next((error.reasons for error in unusable if error.name == name), None)
            if why is not None:
                raise ConfigError(f"program {name} is rejected and does not vote: {'; '.join(why)}")
        check(usable, {program.name for program in programs if program.disabled is None})
        done = []
        for name in names:
            old = usable[name]
            if (old.disabled is None) == (action == "enabled"):
                done.append(Change(name=name, action="unchanged", file=library.path(name), digest=old.digest))
                continue
            path = _save(library, replace(old, header=change(old.header)), old=old.text)
            done.append(Change(name=name, action=action, file=path, digest=old.digest))
        return tuple(done)


def _save(library: Library, program: Program, *, old: str) -> Path:
    """Write a program in the place of `old`.

    A copy in the run directory that the next run would bring up to date is so now, so that the run has nothing to set
    aside and to warn of.
    """
    path = write(program, library.folder)
    copy = library.run / "programs" / path.name
    if not library.own and copy.exists() and copy.read_bytes() == old.encode():
        write(program, copy.parent)
    return path


def _refuse_halfway(run: RunDirectory) -> None:
    if run.noted("writing_programs"):
        raise ConfigError(
            f"{run.path}: synthesis was interrupted while it wrote the programs, and will write them again; "
            "run `alchemist synthesize` to its end first"
        )


def _refuse_twins(library: Library, programs: Sequence[Program]) -> None:
    """Refuse a program that another file holds too, disabled ones included."""
    own = {program.name for program in programs}
    known: dict[str, str] = {}
    for path in sorted(library.folder.glob("*.py")):
        if path.stem not in own:
            known.setdefault(library.now(path.stem).digest, path.stem)
    for program in programs:
        twin = known.setdefault(program.digest, program.name)
        if twin != program.name:
            raise ProgramRejected(program.name, (f"it is the same program as {twin}",))


def _refuse_broken(library: Library, programs: Sequence[Program]) -> None:
    sources = [program.source for program in programs]
    with Sandbox(sources, num_classes=library.task.num_classes, limits=limits_of(library.task)) as sandbox:
        problems = sandbox.run([], seed=0).load_errors
    for program, problem in zip(programs, problems, strict=True):
        if problem is not None:
            raise ProgramRejected(program.name, (f"it does not load in the sandbox: {problem}",))


def _program(name: str, text: str, *, where: Path) -> Program:
    try:
        return from_text(name, text)
    except ValueError as error:  # of its name
        raise ConfigError(f"{where}: {error}; rename the file") from error
