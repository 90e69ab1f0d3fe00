"""How programs look on terminals, wide and narrow."""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from engine.cli.program_views import list_view, visible
from engine.stages.program_list import Entry

LONG = "a_program_with_a_very_long_name_that_no_narrow_terminal_holds"
ENTRIES = (
    Entry(name=LONG, state="used", file=Path("/x.py"), coverage=0.25, faults=0, price=1e-6, currency="USD", edits=2),
    Entry(name="b", state="rejected", file=Path("/b.py"), reasons=("it imports [red]os[/red]",), model="m\x1b[31m"),
)


def shown(width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(list_view(console, ENTRIES), crop=False, soft_wrap=False)
    return cast(io.StringIO, console.file).getvalue()


def test_a_wide_terminal_shows_every_column() -> None:
    """Figures, provenance and history in a row; what is not known is a dash, and nothing in it is markup."""
    text = shown(220)
    assert LONG in text
    row = next(line for line in text.splitlines() if LONG in line)
    assert row.split() == [LONG, "used,", "edited", "2x", "25.0", "%", "–", "0", "–", "–", "–", "–", "1e-06", "USD"]
    assert "b is rejected: it imports [red]os[/red]" in text
    assert "Not shown" not in text


@pytest.mark.parametrize("width", [20, 60, 90])
def test_a_narrow_terminal_breaks_no_name(width: int) -> None:
    """Columns give way instead, and it says which."""
    text = shown(width)
    assert any(LONG in line for line in text.splitlines())
    assert "Not" in text
    assert "strategy" in text.split("Not", 1)[1]


def test_nothing_steers_the_terminal() -> None:
    """Escape sequences in what a model wrote are shown, not sent."""
    assert "\x1b" not in shown(220)
    assert visible("a\x1b[31mb\n\tc\u202e") == "a\\x1b[31mb\n\tc\\u202e"
