"""Header lines on what people did to a program."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from engine.synthesis import history
from engine.synthesis.programs import from_text, load_folder, write
from engine.synthesis.provenance import read_header

DAY = date(2026, 11, 25)
WRITTEN = "# task: t\n# model: m-1\n# tokens in: 5\n# price: 0.1 USD\n# prompt, user part:\n#   disabled: not a key\n\n"
SOURCE = "def label_function(text):\n    return 1\n"


def test_disabling_and_enabling_gives_the_same_bytes() -> None:
    """A line is put on top and taken away again; nothing else moves."""
    off = history.disable(WRITTEN, reason="too\nloud")
    assert off == "# disabled: too loud\n" + WRITTEN
    assert history.disabled_reason(off) == "too loud"
    assert history.enable(off) == WRITTEN


def test_disabling_twice_leaves_one_line_with_the_last_reason() -> None:
    """A header has one reason."""
    twice = history.disable(history.disable(WRITTEN, reason="a"), reason="b")
    assert twice == "# disabled: b\n" + WRITTEN


@pytest.mark.parametrize("line", ["# disabled:\n", "# disabled: \n"])
def test_a_line_without_a_reason_disables_too(line: str) -> None:
    """Whoever writes the line by hand need not give a reason."""
    assert history.disabled_reason(line + WRITTEN) == "no reason given"


def test_a_quoted_prompt_disables_nothing() -> None:
    """Lines of the prompt are set in by three blanks, and are no keys."""
    assert history.disabled_reason(WRITTEN) is None


def test_edits_are_told_in_their_order() -> None:
    """Each edit says when, by whom and what was there; a name cannot break the line."""
    once = history.tell_edit(WRITTEN, when=DAY, by="a\nb", was="0123456789")
    twice = history.tell_edit(once, when=date(2026, 12, 1), by=None, was="fedcba9876")
    assert twice.startswith(
        "# edited: 2026-11-25 by a b, was 01234567\n# edited: 2026-12-01, was fedcba98\n# task: t\n"
    )
    assert [(e.when, e.by, e.was) for e in history.edits(twice)] == [
        ("2026-11-25", "a b", "01234567"),
        ("2026-12-01", None, "fedcba98"),
    ]
    assert read_header(twice) == read_header(WRITTEN)


def test_provenance_comes_back_where_an_edit_left_it_out() -> None:
    """A file written anew takes over the header; its own comments stand below it."""
    assert history.carry_over(WRITTEN, "") == WRITTEN
    merged = history.carry_over(WRITTEN, "# My idea: links.\n# model: another\n")
    assert merged == WRITTEN.rstrip() + "\n# My idea: links.\n\n"
    assert read_header(merged).model == "m-1"


def test_a_header_that_kept_its_provenance_is_taken_as_it_is() -> None:
    """Whoever edits may drop the prompt and add notes."""
    shorter = "# task: t\n# model: m-1\n# tokens in: 5\n# price: 0.1 USD\n# note: mine\n"
    assert history.carry_over(WRITTEN, shorter) == shorter
    assert history.carry_over("", "# note: mine\n") == "# note: mine\n"


def test_an_edit_neither_disables_nor_enables() -> None:
    """Whether a program votes does not depend on which header an edited text has."""
    off = history.disable(WRITTEN, reason="a")
    assert history.carry_over(off, "") == off
    assert history.carry_over(WRITTEN, off) == WRITTEN


def test_history_is_header_and_not_source() -> None:
    """The lines change no digest, so that they recompute no votes."""
    plain = from_text("p", WRITTEN + SOURCE)
    told = history.tell_addition(history.disable(WRITTEN, reason="a"), when=DAY, source="/x/p.py")
    program = from_text("p", told + SOURCE)
    assert program.digest == plain.digest
    assert program.disabled == "a"
    assert history.value_of(program.header, "strategy", "added") == "2026-11-25 from /x/p.py"


def test_a_disabled_program_is_nobody_s_twin(tmp_path: Path) -> None:
    """Of two equal programs the one that is disabled gives way, whatever their names."""
    write(from_text("a", "# disabled: why\n" + SOURCE), tmp_path)
    write(from_text("b", SOURCE), tmp_path)
    programs, rejected = load_folder(tmp_path)
    assert [(p.name, p.disabled) for p in programs] == [("a", "why"), ("b", None)]
    assert rejected == ()
