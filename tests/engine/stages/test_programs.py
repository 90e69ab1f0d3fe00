"""The programs of a run: mirrored, loaded once, and never lost."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError, ProgramRejected
from engine.stages.context import Context
from engine.stages.programs import ProgramSet, collect
from engine.stages.stream import Silent
from engine.store import RunDirectory
from engine.task import LabelingTask

VOTE = "def label_function(text):\n    return {}\n"


def collected(tmp_path: Path, **changes: Any) -> ProgramSet:
    values: dict[str, Any] = {
        "name": "t",
        "data": {"source": "x.csv"},
        "classes": [{"name": "a"}, {"name": "b"}],
        "instruction": "Label it.",
        "programs": {"folder": str(tmp_path / "mine")},
    }
    task = LabelingTask.model_validate(values | changes)
    with ExitStack() as stack:
        run = stack.enter_context(RunDirectory(tmp_path / "run"))
        return collect(Context(task=task, run=run, address=None, watch=Silent(), stack=stack))


def give(tmp_path: Path, **sources: str) -> None:
    (tmp_path / "mine").mkdir(exist_ok=True)
    for name, source in sources.items():
        (tmp_path / "mine" / f"{name}.py").write_text(source)


def test_a_file_that_makes_room_is_kept(tmp_path: Path):
    """An edited copy in the run directory gives way to the user's folder, and is kept beside it."""
    give(tmp_path, p=VOTE.format(1))
    collected(tmp_path)
    folder = tmp_path / "run" / "programs"
    (folder / "p.py").write_text(VOTE.format(0))
    collected(tmp_path)
    assert (folder / "p.py").read_text() == VOTE.format(1)
    (kept,) = (folder / "replaced").iterdir()
    assert kept.read_text() == VOTE.format(0)


def test_a_program_that_left_the_folder_leaves_the_run(tmp_path: Path):
    """The run's programs are those of the folder; the key of one does not depend on the others."""
    give(tmp_path, p=VOTE.format(1), q=VOTE.format(0))
    both = collected(tmp_path)
    (tmp_path / "mine" / "p.py").unlink()
    alone = collected(tmp_path)
    assert [program.name for program in alone.programs] == ["q"]
    assert alone.keys == both.keys[1:]


def test_nobody_is_paid_to_replace_programs_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """After a run with a folder, a run without it uses the programs that the first one left, and asks no model."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    give(tmp_path, p=VOTE.format(1))
    first = collected(tmp_path)
    again = collected(tmp_path, programs={"count": 2}, language_model={"model": "m"})
    assert again.keys == first.keys


def test_what_does_not_load_is_rejected_with_the_reason(tmp_path: Path):
    """A program whose top level fails never votes, and is named with why."""
    give(tmp_path, good=VOTE.format(1), bad="WORDS = {}['none']\n" + VOTE.format(1))
    found = collected(tmp_path)
    assert [program.name for program in found.programs] == ["good"]
    assert "does not load" in found.rejected["bad"][0]
    assert "none" in found.rejected["bad"][0]


def test_nothing_usable_is_an_error_with_every_reason(tmp_path: Path):
    """If no program is left the run stops and says why for each."""
    give(tmp_path, bad="WORDS = {}['none']\n" + VOTE.format(1))
    with pytest.raises(ProgramRejected, match="does not load"):
        collected(tmp_path)


def test_votes_depend_on_limits_and_classes_and_keys_say_so(tmp_path: Path):
    """Other limits or other classes are other votes, under other keys; a comment in the header is not."""
    give(tmp_path, p=VOTE.format(1))
    keys = collected(tmp_path).keys
    assert collected(tmp_path, sandbox={"row_timeout_s": 1.0}).keys != keys
    three = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    assert collected(tmp_path, classes=three).keys != keys
    give(tmp_path, p="# a note\n" + VOTE.format(1))
    assert collected(tmp_path).keys == keys


def test_no_programs_and_nobody_to_write_them(tmp_path: Path):
    """A task that says nothing on programs is told both ways to get them."""
    with pytest.raises(ConfigError, match=r"programs.folder.*language_model"):
        collected(tmp_path, programs={})


def test_a_key_is_asked_for_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Synthesis without an API key names the variable."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        collected(tmp_path, programs={"count": 2}, language_model={"model": "m"})


def test_a_disabled_program_is_mirrored_and_does_not_vote(tmp_path: Path):
    """It is named with its reason; back in use it has the key that it had."""
    give(tmp_path, p=VOTE.format(1), q=VOTE.format(0))
    both = collected(tmp_path)
    give(tmp_path, p="# disabled: too loud\n" + VOTE.format(1))
    alone = collected(tmp_path)
    assert [program.name for program in alone.programs] == ["q"]
    assert alone.disabled == {"p": "too loud"}
    assert alone.rejected == {}
    assert (tmp_path / "run" / "programs" / "p.py").read_text().startswith("# disabled: too loud\n")
    give(tmp_path, p=VOTE.format(1))
    assert collected(tmp_path).keys == both.keys


def test_a_run_of_disabled_programs_is_refused_with_advice(tmp_path: Path):
    """Nothing would vote; the message says how to take one back."""
    give(tmp_path, p="# disabled: x\n" + VOTE.format(1))
    with pytest.raises(ConfigError, match="programs enable"):
        collected(tmp_path)
