"""The programs of a run as people handle them: where they are, and what the last run knows of them.

Where the task names a folder of programs, that folder is the truth and every run mirrors it; a change of the run's
copy would be undone. So a library works on that folder, and on the run directory only where synthesis, or a person,
put the programs there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ConfigError
from engine.storage import shards_of
from engine.store import StageRecord
from engine.synthesis.history import edits
from engine.synthesis.programs import split
from engine.task import LabelingTask
from engine.task_file import read_task, task_from
from operators.commit import commit
from operators.storage import Folder

_KEPT = re.compile(r"(.+)-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The text of a program as it is or was; it may be one that cannot be used.

    Attributes:
        name: of the program.
        path: where the text stands.
        text: of the file, line ends normalised.
        digest: of the source below the header, as votes are kept under.
    """

    name: str
    path: Path
    text: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The programs of a run.

    Attributes:
        run: the run directory.
        folder: where the programs are read and changed; the run's own `programs/` unless the task names another.
        task: of the run.
        content: of run.json, as it was when the library was opened; the lock is not needed to read it.
    """

    run: Path
    folder: Path
    task: LabelingTask
    content: Mapping[str, Any]

    @property
    def own(self) -> bool:
        """Whether the run directory is where its programs live."""
        return self.folder == self.run / "programs"

    @property
    def shards(self) -> Folder:
        """Where the run's shard files stand."""
        return shards_of(self.run, self.content.get("storage"))

    def record(self, stage: str) -> StageRecord | None:
        """Return what the run knows of a stage."""
        values = self.content["stages"].get(stage)
        return None if values is None else StageRecord(**values)

    def path(self, name: str) -> Path:
        """Return the file of a program.

        Raises:
            ConfigError: there is none of that name.
        """
        names = {path.stem: path for path in self.folder.glob("*.py") if path.is_file()}
        if name in names:
            return names[name]
        answer = self.answer(name)
        if answer is not None:
            raise ConfigError(
                f"{name} is an answer of the language model that gave no program; it is kept in {answer}. Put a "
                "program into a file of its own and take it in with `alchemist programs add`"
            )
        raise ConfigError(f"{self.folder}: no program {name}; there are {', '.join(sorted(names)) or 'none'}")

    def answer(self, name: str) -> Path | None:
        """Return where a rejected answer of the language model is kept."""
        known = {path.stem: path for path in (self.run / "programs" / "rejected").glob("*.txt")}
        return known.get(name)

    def now(self, name: str) -> Version:
        """Return a program as it is.

        Raises:
            ConfigError: as `path`; or it is no text.
        """
        return read_version(name, self.path(name))

    def earlier(self, name: str) -> tuple[Version, ...]:
        """Return the versions that had to make room, the latest first.

        First those that the header tells of, from the last edit back; then the others, by the time they were kept.
        """
        kept = [read_version(name, path) for path in self._kept(name)]
        kept.sort(key=lambda version: (-version.path.stat().st_mtime_ns, version.path.name))
        told = [edit.was for edit in reversed(edits(split(self.now(name).text)[0]))]
        order = {was: i for i, was in reversed(list(enumerate(told)))}
        return tuple(sorted(kept, key=lambda version: order.get(version.digest[:8], len(order))))

    def keep(self, name: str) -> Path:
        """Copy a program to where versions are kept, under the name that a run would give it; returns the path."""
        old = self.path(name).read_bytes()
        kept = self.run / "programs" / "replaced" / f"{name}-{hashlib.sha256(old).hexdigest()[:8]}.py"
        commit(kept, lambda attempt: attempt.write_bytes(old) and None)
        return kept

    def _kept(self, name: str) -> Iterator[Path]:
        for path in (self.run / "programs" / "replaced").glob("*.py"):
            match = _KEPT.fullmatch(path.stem)
            if match and match[1] == name:
                yield path


def open_library(target: str | Path, *, out: str | Path | None = None) -> Library:
    """Find the programs of a run.

    Args:
        target: a run directory, or a task file.
        out: the run directory of a task file; `runs/<task name>` unless told.

    Raises:
        ConfigError: there is no run, or its task cannot be read.
    """
    target = Path(target)
    if target.is_dir():
        if out is not None:
            raise ConfigError(f"{target} is a run directory already; --out goes with a task file")
        run, given = target.resolve(), None
    else:
        if not target.exists():
            raise ConfigError(f"{target}: neither a run directory nor a task file")
        given = read_task(target)
        run = Path(out or Path("runs") / given.name).resolve()
    content = _content(run, target)
    noted = content.get("task")
    if noted is None:
        raise ConfigError(f"{run / 'run.json'}: it names no task; run `alchemist synthesize` on one first")
    last = task_from(dict(noted), where=str(run / "run.json"), folder=run)
    task = given or last
    # A folder given with --programs is in the run's task alone.
    named = task.programs.folder or last.programs.folder
    folder = run / "programs" if named is None else Path(named).resolve()
    return Library(run=run, folder=folder, task=task, content=content)


def read_version(name: str, path: Path) -> Version:
    """Read the text of a program, whether it can be used or not.

    Raises:
        ConfigError: the file cannot be read, or is no UTF-8.
    """
    try:
        header, source = split(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Version(name=name, path=path, text=header + source, digest=digest)


def _content(run: Path, target: Path) -> Mapping[str, Any]:
    path = run / "run.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        advice = "name a run directory or a task file" if target.is_dir() else f"`alchemist synthesize {target}` first"
        raise ConfigError(f"{run}: no run there; {advice}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as a run: {error}") from error
    if not isinstance(content, dict) or "stages" not in content:
        raise ConfigError(f"{path}: not a run")
    return content
