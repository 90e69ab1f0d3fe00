"""The editor's round: a copy, a check, and nothing lost."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from engine.cli.editor import edited
from engine.errors import ConfigError, ProgramRejected
from engine.stages.library import Version
from engine.stages.program_edits import Change

BEFORE = Version(name="p", path=Path("/x/p.py"), text="a = 1\n", digest="d")
DONE = Change(name="p", action="edited", file=Path("/x/p.py"), digest="e")


@pytest.fixture
def editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An editor that turns 1 into 2, and no terminal."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "sed -i s/1/2/")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.mark.usefixtures("editor")
def test_what_the_editor_leaves_is_saved(tmp_path: Path) -> None:
    """The copy is gone afterwards."""
    texts: list[str] = []
    assert edited(BEFORE, save=lambda text: texts.append(text) or DONE) == DONE
    assert texts == ["a = 2\n"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("editor")
@pytest.mark.parametrize("error", [ProgramRejected("p", ("no good",)), ConfigError("no good")])
def test_what_cannot_be_saved_is_kept(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal nobody is asked; the message says where the text is."""

    def refuse(_: str) -> Change:
        raise error

    with pytest.raises(ConfigError, match=r"no good.*your text is kept in (\S+)") as told:
        edited(BEFORE, save=refuse)
    kept = re.search(r"kept in (\S+)", str(told.value))
    assert kept is not None
    assert Path(kept[1]).read_text() == "a = 2\n"


@pytest.mark.usefixtures("editor")
def test_an_editor_that_is_missing_or_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is saved then, and --from is the way out where there is no terminal."""
    for command, message in (("no-such-editor", "no editor"), ("false", "ended with 1"), ("", "--from FILE")):
        monkeypatch.setenv("EDITOR", command)
        with pytest.raises(ConfigError, match=message):
            edited(BEFORE, save=lambda _: DONE)
