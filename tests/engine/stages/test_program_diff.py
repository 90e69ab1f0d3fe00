"""Lines and votes that differ between versions of a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from engine.errors import ConfigError
from engine.stages.program_diff import difference
from engine.synthesis.history import tell_edit

VOTE = "def label_function(text):\n    return {}\n"


def changed(made: Any, new: str) -> None:
    """Edit program p as the command does."""
    library = made.library()
    was = library.now("p").digest
    library.keep("p")
    library.path("p").write_text(tell_edit("", when=date(2026, 11, 25), by=None, was=was) + new)


def test_lines_and_votes_of_the_version_before(shelf: Callable[..., Any]) -> None:
    """Votes are compared over the shards that have both, by kind of change, worked out by hand."""
    old, new = VOTE.format(0), VOTE.format(1)
    made = shelf(p=old)
    made.votes("s0", {old: [0, 0, -1, 1]})
    made.votes("s0", {new: [1, 1, 0, 1]})
    made.votes("s1", {old: [0, 0]})
    changed(made, new)
    found = difference(made.library(), "p")
    assert found.lines[-2:] == ("-    return 0", "+    return 1")
    assert found.votes is not None
    assert (found.votes.rows, found.votes.changed) == (4, 3)
    assert dict(found.votes.by_kind) == {("ham", "spam"): 2, ("abstain", "ham"): 1}
    said = json.loads(json.dumps(found.to_json()))
    assert said["votes"]["changes"][0] == {"from": "ham", "to": "spam", "rows": 2}
    assert "+    return 1" in said["diff"]


def test_two_programs_and_a_version_by_its_digest(shelf: Callable[..., Any]) -> None:
    """The second name is the new side; digits of a digest name a version of the first program."""
    made = shelf(p=VOTE.format(0), q=VOTE.format(1))
    first = made.library().now("p").digest
    changed(made, VOTE.format(-1))
    assert difference(made.library(), "p", "q").lines[-1] == "+    return 1"
    assert difference(made.library(), "p", first[:8]).lines[-2:] == ("-    return 0", "+    return -1")
    assert difference(made.library(), "p", "q").votes is None
    with pytest.raises(ConfigError, match=rf"its versions are {first[:8]}"):
        difference(made.library(), "p", "ffff")


def test_a_program_without_a_past(shelf: Callable[..., Any]) -> None:
    """There is nothing to compare with, and the message says what could be."""
    with pytest.raises(ConfigError, match="as it was first written"):
        difference(shelf(p=VOTE.format(0)).library(), "p")
