"""A run with programs and votes, as its stages would have left it, without running any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.stages.library import Library, open_library
from engine.stages.trials import program_key
from engine.store import RunDirectory, StageRecord
from engine.synthesis.programs import from_text
from engine.task import LabelingTask
from operators.votes import Notes, VoteStore

VOTE = "def label_function(text):\n    return {}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A run directory and a folder of programs that a task may name."""

    run: Path
    mine: Path
    task: LabelingTask

    def library(self) -> Library:
        """Open it as the commands do."""
        return open_library(self.run)

    def key(self, text: str) -> str:
        """Return the key of a program's votes."""
        return program_key(self.task, from_text("p", text).digest)

    def put(self, stage: str, **result: Any) -> None:
        """Leave a record as a stage does."""
        with RunDirectory(self.run) as run:
            run.put(stage, StageRecord(digest="d", seconds=1.0, rows=4, result=result))

    def note(self, **values: Any) -> None:
        """Leave a note in run.json."""
        with RunDirectory(self.run) as run:
            run.note(**values)

    def votes(self, shard: str, columns: Mapping[str, list[int]]) -> None:
        """Leave the votes of programs, given by their texts, on a shard."""
        keys = [self.key(text) for text in columns]
        votes = np.array(list(columns.values()), np.int8).T
        store = VoteStore(self.run)
        store.declare(keys)
        notes = Notes(level=3, messages={}, quarantined={})
        store.write(shard, keys, votes=votes, faults=np.zeros_like(votes, np.uint8), notes=notes)


@pytest.fixture
def shelf(tmp_path: Path) -> Callable[..., Shelf]:
    """Make a run; programs are given by name, and stand in `mine/` where the task names that folder."""

    def make(*, named: bool = False, changes: Mapping[str, Any] | None = None, **programs: str) -> Shelf:
        run, mine = tmp_path / "run", tmp_path / "mine"
        values: dict[str, Any] = {
            "name": "t",
            "data": {"source": str(tmp_path / "x.csv")},
            "classes": [{"name": "ham"}, {"name": "spam"}],
            "instruction": "Label it.",
        }
        if named:
            values["programs"] = {"folder": str(mine)}
        task = LabelingTask.model_validate(values | dict(changes or {}))
        with RunDirectory(run) as directory:
            directory.note(task=task.model_dump(mode="json"))
        folder = mine if named else run / "programs"
        folder.mkdir()
        for name, text in programs.items():
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        return Shelf(run=run, mine=mine, task=task)

    return make
