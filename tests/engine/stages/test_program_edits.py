"""Changes of programs: checked, locked, and never a loss."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError, ProgramRejected
from engine.stages.program_edits import add, check_free, disable, edit, enable
from engine.store import RunDirectory

DAY = date(2026, 11, 25)
VOTE = "def label_function(text):\n    return {}\n"
HEADER = "# model: m-1\n# price: 0.5 USD\n\n"


def test_an_edit_keeps_the_version_before_and_the_provenance(shelf: Callable[..., Any]) -> None:
    """The header says when, by whom and what was there, and the model and price as they were."""
    library = shelf(p=HEADER + VOTE.format(0)).library()
    before = library.now("p")
    done = edit(library, "p", VOTE.format(1), when=DAY, by="ann")
    told = f"# edited: 2026-11-25 by ann, was {before.digest[:8]}\n"
    assert done.action == "edited"
    assert library.now("p").text == told + HEADER + VOTE.format(1)
    assert library.now("p").digest == done.digest
    assert done.kept is not None
    assert done.kept.read_text() == before.text
    assert [version.digest for version in library.earlier("p")] == [before.digest]


def test_a_new_header_alone_is_no_edit(shelf: Callable[..., Any]) -> None:
    """A note recomputes nothing, so no history line is written; the same text changes nothing at all."""
    library = shelf(p=VOTE.format(0)).library()
    assert edit(library, "p", VOTE.format(0), when=DAY, by=None).action == "unchanged"
    assert edit(library, "p", "# mine\n" + VOTE.format(0), when=DAY, by=None).action == "noted"
    assert library.now("p").text == "# mine\n" + VOTE.format(0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os\n" + VOTE.format(1), "import of os"),
        ("X = {}['none']\n" + VOTE.format(1), "does not load in the sandbox"),
        (VOTE.format(-1), "same program as q"),
        ("# disabled: x\n" + VOTE.format(7) + "\nX = 1\n", "same program as r"),
    ],
)
def test_what_cannot_be_used_replaces_nothing(shelf: Callable[..., Any], text: str, reason: str) -> None:
    """The screen, the sandbox and twins, disabled ones among them, are asked before anything is written."""
    twin = "# disabled: y\n" + VOTE.format(7) + "\nX = 1\n"
    made = shelf(p=VOTE.format(0), q=VOTE.format(-1), r=twin)
    with pytest.raises(ProgramRejected, match=reason):
        edit(made.library(), "p", text, when=DAY, by=None)
    assert made.library().now("p").text == VOTE.format(0)
    assert not (made.run / "programs" / "replaced").exists()


def test_a_file_that_cannot_be_used_may_be_mended(shelf: Callable[..., Any]) -> None:
    """Edits start from any text, not only from programs."""
    library = shelf(p="def label_function(text)\n").library()
    assert edit(library, "p", VOTE.format(1), when=DAY, by=None).action == "edited"
    assert library.earlier("p")[0].text == "def label_function(text)\n"


def test_an_edit_of_what_changed_meanwhile_is_refused(shelf: Callable[..., Any]) -> None:
    """Nobody's change is overwritten unseen."""
    library = shelf(p=VOTE.format(0)).library()
    base = library.now("p")
    library.path("p").write_text(VOTE.format(-1))
    with pytest.raises(ConfigError, match="somebody else"):
        edit(library, "p", VOTE.format(1), when=DAY, by=None, base=base)


def test_changes_go_to_the_folder_that_the_task_names(shelf: Callable[..., Any]) -> None:
    """Its copy in the run directory follows, so that the next run sets nothing aside; versions are kept in the run."""
    made = shelf(named=True, p=VOTE.format(0), q=VOTE.format(1))
    copies = made.run / "programs"
    copies.mkdir()
    for name, text in (("p", VOTE.format(0)), ("q", "# not the same\n" + VOTE.format(1))):
        (copies / f"{name}.py").write_text(text)
    done = edit(made.library(), "p", VOTE.format(-1), when=DAY, by=None)
    assert done.file == made.mine.resolve() / "p.py"
    assert done.kept is not None
    assert done.kept.parent == copies.resolve() / "replaced"
    assert (made.mine / "p.py").read_text() == (copies / "p.py").read_text()
    assert sorted(path.name for path in made.mine.iterdir()) == ["p.py", "q.py"]
    disable(made.library(), ["q"], reason="x")
    assert (made.mine / "q.py").read_text().startswith("# disabled: x\n")
    assert (copies / "q.py").read_text().startswith("# not the same")


def test_disabling_and_enabling_leaves_the_file_as_it_was(shelf: Callable[..., Any]) -> None:
    """What is so already is left alone."""
    library = shelf(p=HEADER + VOTE.format(0), q=VOTE.format(1)).library()
    assert [change.action for change in disable(library, ["p"], reason="loud")] == ["disabled"]
    assert library.now("p").text == "# disabled: loud\n" + HEADER + VOTE.format(0)
    assert [change.action for change in disable(library, ["p"], reason="again")] == ["unchanged"]
    assert [change.action for change in enable(library, ["p", "q"])] == ["enabled", "unchanged"]
    assert library.now("p").text == HEADER + VOTE.format(0)


def test_the_last_program_cannot_be_disabled(shelf: Callable[..., Any]) -> None:
    """Neither alone nor with all others, nor where the others cannot be used."""
    library = shelf(p=VOTE.format(0), q=VOTE.format(1), r="broken(").library()
    with pytest.raises(ConfigError, match="no program would be left"):
        disable(library, ["p", "q"], reason="x")
    disable(library, ["p"], reason="x")
    with pytest.raises(ConfigError, match="no program would be left"):
        disable(library, ["q"], reason="x")
    with pytest.raises(ConfigError, match="is rejected and does not vote"):
        disable(library, ["r"], reason="x")


def test_enabling_a_twin_is_refused(shelf: Callable[..., Any]) -> None:
    """Its votes would count twice."""
    library = shelf(p=VOTE.format(0), q="# disabled: x\n" + VOTE.format(0)).library()
    with pytest.raises(ProgramRejected, match="same program as p"):
        enable(library, ["q"])


def test_programs_are_added_all_or_none(shelf: Callable[..., Any], tmp_path: Path) -> None:
    """The header says where each came from; one that is refused keeps the others out."""
    library = shelf(p=VOTE.format(0)).library()
    files = {"q": HEADER + VOTE.format(1), "r": VOTE.format(1), "s": "import os\n", "p": VOTE.format(-1)}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    for other, reason in (("r", "same program as q"), ("s", "import of os"), ("p", "there is a program p already")):
        with pytest.raises((ProgramRejected, ConfigError), match=reason):
            add(library, [tmp_path / "q.py", tmp_path / f"{other}.py"], when=DAY)
        assert [path.stem for path in library.folder.glob("*.py")] == ["p"]
    (done,) = add(library, [tmp_path / "q.py"], when=DAY)
    assert done.action == "added"
    assert library.now("q").text == f"# added: 2026-11-25 from {tmp_path / 'q.py'}\n" + files["q"]


@pytest.mark.parametrize(
    ("name", "reason"), [("none.py", "cannot be read"), ("p.txt", "`.*py` file"), ("a b.py", "ren")]
)
def test_a_file_that_cannot_be_a_program_is_named(
    shelf: Callable[..., Any], tmp_path: Path, name: str, reason: str
) -> None:
    """A file that is not there, of another kind, or of a name that none can have."""
    if name != "none.py":
        (tmp_path / name).write_text(VOTE.format(1))
    with pytest.raises(ConfigError, match=reason):
        add(shelf(p=VOTE.format(0)).library(), [tmp_path / name], when=DAY)


def test_nothing_is_added_where_a_model_is_still_to_write(shelf: Callable[..., Any], tmp_path: Path) -> None:
    """A run takes programs that are there for the user's own, and would not ask the model."""
    (tmp_path / "q.py").write_text(VOTE.format(1))
    made = shelf(changes={"language_model": {"model": "m"}})
    with pytest.raises(ConfigError, match="synthesize` first"):
        add(made.library(), [tmp_path / "q.py"], when=DAY)


def test_a_run_at_work_is_not_disturbed(shelf: Callable[..., Any]) -> None:
    """The lock is the run's; reading needs none."""
    made = shelf(p=VOTE.format(0), q=VOTE.format(1))
    library = made.library()
    with RunDirectory(made.run):
        for change in (
            lambda: check_free(library),
            lambda: edit(library, "p", VOTE.format(1), when=DAY, by=None),
            lambda: disable(library, ["p"], reason="x"),
        ):
            with pytest.raises(ConfigError, match="another run is using this directory"):
                change()
        assert made.library().now("p").text == VOTE.format(0)


def test_programs_that_will_be_written_again_are_not_changed(shelf: Callable[..., Any]) -> None:
    """A synthesis that died while it wrote starts over."""
    made = shelf(p=VOTE.format(0), q=VOTE.format(1))
    made.note(writing_programs=True)
    with pytest.raises(ConfigError, match="interrupted while it wrote"):
        disable(made.library(), ["p"], reason="x")
