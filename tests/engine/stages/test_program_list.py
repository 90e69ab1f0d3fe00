"""States and figures of programs, from what the stages wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import ConfigError
from engine.stages.program_list import Entry, entries, entry_of, text_of

VOTE = "def label_function(text):\n    return {}\n"
TRIAL = {
    "num_rows": 10,
    "row_s": 2e-6,
    "error_fraction": 0.0,
    "abstain_fraction": 0.5,
    "num_changed": 0,
    "message": None,
    "stopped": None,
}


def listed(made: Any) -> dict[str, Entry]:
    return {entry.name: entry for entry in entries(made.library())}


def test_each_state_comes_with_its_reason(shelf: Callable[..., Any]) -> None:
    """Used, new, disabled, quarantined; rejected by screen, sandbox, trial, as a twin, or as an answer."""
    texts = {name: f"# n\nX = '{name}'\n" + VOTE.format(1) for name in "abcdef"}
    texts["c"] = "# disabled: too loud\n" + texts["c"]
    made = shelf(**texts, g="import os\n" + VOTE.format(1), h=texts["a"])
    keys = {name: made.key(text) for name, text in texts.items()}
    made.put("synthesis", rejected={"i": ["it is no program"], "j": ["no file is left of it"]})
    (made.run / "programs" / "rejected").mkdir()
    (made.run / "programs" / "rejected" / "i.txt").write_text("# rejected: it is no program\n# model: m-1\n\nSorry.\n")
    made.put("admission", trials={keys["a"]: TRIAL, keys["d"]: TRIAL | {"num_changed": 3}})
    figures = {keys["a"]: {"coverage": 0.25, "faults": 0}, keys["e"]: {"coverage": 0.0, "faults": 4}}
    made.put("apply", figures=figures, quarantined={keys["e"]: "it fails"}, messages={}, level=3)
    made.note(not_loading={keys["f"]: "KeyError"})
    found = listed(made)
    assert {name: entry.state for name, entry in found.items()} == {
        "a": "used",
        "b": "new",
        "c": "disabled",
        "d": "rejected",
        "e": "quarantined",
        "f": "rejected",
        "g": "rejected",
        "h": "rejected",
        "i": "rejected",
    }
    assert list(found) == sorted(found)
    assert found["c"].reasons == ("too loud",)
    assert "another order" in found["d"].reasons[0]
    assert found["e"].reasons == ("it fails",)
    assert "KeyError" in found["f"].reasons[0]
    assert "import of os" in found["g"].reasons[0]
    assert "same program as a" in found["h"].reasons[0]
    assert found["i"].model == "m-1"
    assert "Sorry." in text_of(found["i"])
    assert (found["a"].coverage, found["a"].faults, found["a"].cpu_s_per_row) == (0.25, 0, 2e-6)


def test_what_is_not_known_is_none(shelf: Callable[..., Any]) -> None:
    """Before anything ran a program is new, and has no figures: none is taken for 0."""
    (entry,) = entries(shelf(p=VOTE.format(1)).library())
    assert entry.state == "new"
    assert json.loads(json.dumps(entry.to_json()))["coverage"] is None
    assert (entry.model, entry.price, entry.faults, entry.estimated_accuracy) == (None, None, None, None)


def test_figures_of_another_source_are_not_shown(shelf: Callable[..., Any]) -> None:
    """After an edit the report's accuracy is that of a program that is no more."""
    made = shelf(p=VOTE.format(1))
    digest = made.library().now("p").digest
    reported = {"programs": [{"name": "p", "digest": digest, "estimated_accuracy": 0.9}]}
    (made.run / "report.json").write_text(json.dumps(reported))
    assert entry_of(made.library(), "p").estimated_accuracy == 0.9
    made.library().path("p").write_text(VOTE.format(0))
    assert entry_of(made.library(), "p").estimated_accuracy is None


def test_provenance_and_history_come_from_the_header(shelf: Callable[..., Any]) -> None:
    """Model, strategy, tokens, price; how often it was edited, and whether a person added it."""
    header = (
        "# added: 2026-11-25 from /x.py\n# edited: 2026-11-25, was 01234567\n# model: m-1\n# strategy: few\n"
        "# tokens in: 7\n# tokens out: 8\n# price: 0.5 USD\n"
    )
    entry = entry_of(shelf(p=header + VOTE.format(1)).library(), "p")
    assert (entry.model, entry.strategy, entry.tokens_in, entry.tokens_out) == ("m-1", "few", 7, 8)
    assert (entry.price, entry.currency, entry.edits, entry.added) == (0.5, "USD", 1, True)


def test_runs_of_before_figures_still_tell_who_voted(shelf: Callable[..., Any]) -> None:
    """An older run.json names the programs alone: they voted, and their figures are unknown."""
    made = shelf(p=VOTE.format(1))
    made.put("apply", quarantined={}, messages={}, level=3)
    made.note(programs={"p": made.key(VOTE.format(1))})
    entry = entry_of(made.library(), "p")
    assert (entry.state, entry.coverage) == ("used", None)


def test_an_unknown_name_is_refused(shelf: Callable[..., Any]) -> None:
    """The message names those there are."""
    with pytest.raises(ConfigError, match="there are p"):
        entry_of(shelf(p=VOTE.format(1)).library(), "q")
