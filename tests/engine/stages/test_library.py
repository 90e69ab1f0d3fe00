"""Where the programs of a run are, and which versions of them are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError
from engine.stages.library import open_library

VOTE = "def label_function(text):\n    return {}\n"


def test_the_run_directory_holds_what_synthesis_wrote(shelf: Callable[..., Any]) -> None:
    """Without a folder in the task, changes go to the run's own programs."""
    library = shelf(p=VOTE.format(1)).library()
    assert library.own
    assert library.now("p").text == VOTE.format(1)


def test_a_folder_that_the_task_names_is_where_changes_go(shelf: Callable[..., Any]) -> None:
    """The run's copy would be overwritten by the next run."""
    made = shelf(named=True, p=VOTE.format(1))
    assert not made.library().own
    assert made.library().folder == made.mine.resolve()


def test_a_folder_of_the_command_line_is_remembered(shelf: Callable[..., Any], tmp_path: Path) -> None:
    """A task file that names no folder does not hide the one that the last run took from --programs."""
    made = shelf(named=True, p=VOTE.format(1))
    task = tmp_path / "task.yaml"
    task.write_text("name: t\ndata: {source: x.csv}\nclasses: [{name: ham}, {name: spam}]\ninstruction: Label.\n")
    assert open_library(task, out=made.run).folder == made.mine.resolve()


def test_what_is_no_run_is_refused_with_advice(tmp_path: Path) -> None:
    """A folder without run.json, and a path that is not there."""
    with pytest.raises(ConfigError, match="no run there"):
        open_library(tmp_path)
    with pytest.raises(ConfigError, match="neither a run directory nor a task file"):
        open_library(tmp_path / "none")


def test_an_unknown_name_is_answered_with_those_there_are(shelf: Callable[..., Any]) -> None:
    """An answer that gave no program is told apart from nothing at all."""
    made = shelf(p=VOTE.format(1))
    with pytest.raises(ConfigError, match="no program q; there are p"):
        made.library().path("q")
    (made.run / "programs" / "rejected").mkdir()
    (made.run / "programs" / "rejected" / "q.txt").write_text("# rejected: no\nSorry.\n")
    with pytest.raises(ConfigError, match=r"answer of the language model.*programs add"):
        made.library().path("q")


def test_earlier_versions_come_in_the_order_of_the_header(shelf: Callable[..., Any]) -> None:
    """What the header tells of counts before the clock of the files; another program's versions are not mixed in."""
    made = shelf(p=VOTE.format(1), **{"p-x": VOTE.format(0)})
    path = made.run / "programs" / "p.py"
    texts = [VOTE.format(n) for n in (-1, 0, 1)]
    for i, text in enumerate(texts):
        path.write_text(text)
        os.utime(made.library().keep("p"), (100 - i, 100 - i))
    made.library().keep("p-x")
    digests = {version.text: version.digest[:8] for version in made.library().earlier("p")}
    header = f"# edited: 2026-11-25, was {digests[texts[0]]}\n# edited: 2026-11-26, was {digests[texts[1]]}\n"
    path.write_text(header + texts[2])
    assert [version.text for version in made.library().earlier("p")] == [texts[1], texts[0], texts[2]]
