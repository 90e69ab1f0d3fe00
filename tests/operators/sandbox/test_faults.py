"""Every kind of fault, with small programs: the right code in the right cell, and the reason in words."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from operators.sandbox.pool import Limits, Outcome, Sandbox
from operators.schema import ABSTAIN, Fault

QUICK = Limits(row_timeout_s=0.06, row_kill_s=0.3, memory_bytes=256 << 20)
TRIGGER = 2
ROWS = ["a", "b", "TRIGGER", "d", "e"]
INNOCENT = "def label_function(text):\n    return len(text) % 2\n"


def on_trigger(body: str, *, top: str = "") -> str:
    """Write a program that votes 1, and does something else where the text is TRIGGER."""
    return f"{top}\ndef label_function(text):\n    if text != 'TRIGGER': return 1\n    {body}\n"


def run(source: str, rows: list[str] = ROWS, *, limits: Limits = QUICK) -> Outcome:
    """Run one program with an innocent one beside it, whose votes must stand."""
    with Sandbox([source, INNOCENT], num_classes=2, limits=limits) as sandbox:
        outcome = sandbox.run(rows, seed=0)
    assert outcome.votes[:, 1].tolist() == [len(row) % 2 for row in rows]
    assert not outcome.faults[:, 1].any()
    assert (outcome.votes[outcome.faults != Fault.NONE] == ABSTAIN).all()
    return outcome


@pytest.mark.parametrize(
    ("source", "fault", "message"),
    [
        (on_trigger("return {}['a']"), Fault.EXCEPTION, "KeyError: 'a'"),
        (on_trigger("raise SystemExit", top="SystemExit = BaseException"), Fault.EXCEPTION, "BaseException"),
        (on_trigger("while True: pass"), Fault.TIMEOUT, "time"),
        (on_trigger("return sum(range(10**12))"), Fault.TIMEOUT, "could not be interrupted"),
        (on_trigger("return len('a' * 10**10)"), Fault.MEMORY, "MemoryError"),
        (on_trigger("return 2"), Fault.BAD_LABEL, "the integer 2; expected 0..1"),
        (on_trigger("return -2"), Fault.BAD_LABEL, "the integer -2; expected 0..1"),
        (on_trigger("return 10**30"), Fault.BAD_LABEL, "integer"),
        (on_trigger("return None"), Fault.BAD_LABEL, "NoneType"),
        (on_trigger("return 1.0"), Fault.BAD_LABEL, "float 1.0"),
        (on_trigger("return 'spam'"), Fault.BAD_LABEL, "str 'spam'"),
    ],
)
def test_a_fault_costs_its_own_row_only(source: str, fault: Fault, message: str) -> None:
    """The row abstains under the right code, the other rows vote, the message says what happened."""
    outcome = run(source)
    assert outcome.faults[:, 0].tolist() == [0, 0, fault, 0, 0]
    assert outcome.votes[:, 0].tolist() == [1, 1, ABSTAIN, 1, 1]
    assert message in str(outcome.messages[0])
    assert outcome.quarantined == (None, None)
    assert outcome.load_errors == (None, None)


UNLOCKED = Limits(row_timeout_s=0.06, row_kill_s=0.3, restricted=False)


def test_a_crash_is_told_with_its_signal() -> None:
    """A process that dies costs the row that it was at."""
    outcome = run(on_trigger("os.abort()", top="import os"), limits=UNLOCKED)
    assert outcome.faults[:, 0].tolist() == [0, 0, Fault.CRASH, 0, 0]
    assert "SIG" in str(outcome.messages[0])


@pytest.mark.parametrize("body", ["os.fork()", "os.kill(os.getppid(), 9)", "os.execv('/bin/sh', ['sh'])"])
def test_a_violation_quarantines_at_once(body: str) -> None:
    """A forbidden system call is the last thing a program does in a run."""
    outcome = run(on_trigger(body, top="import os"), limits=UNLOCKED)
    assert outcome.faults[:, 0].tolist() == [0, 0, Fault.VIOLATION, Fault.QUARANTINED, Fault.QUARANTINED]
    assert outcome.votes[:, 0].tolist() == [1, 1, ABSTAIN, ABSTAIN, ABSTAIN]
    assert "forbidden system call" in str(outcome.quarantined[0])


def test_a_forged_reply_is_a_violation() -> None:
    """What no worker answers is not believed, least of all unpickled."""
    outcome = run(on_trigger("os.write(4, b'x' * 16); return 1", top="import os"), limits=UNLOCKED)
    assert Fault.VIOLATION in outcome.faults[:, 0]
    assert "protocol" in str(outcome.quarantined[0])


@pytest.mark.slow
def test_three_kills_quarantine() -> None:
    """A program that has to be killed again and again is given up."""
    outcome = run("def label_function(text):\n    return sum(range(10**12))\n", ["a"] * 6)
    assert outcome.faults[:, 0].tolist() == [Fault.TIMEOUT] * 3 + [Fault.QUARANTINED] * 3


@pytest.mark.slow
def test_ten_timeouts_quarantine() -> None:
    """A slow program is given up after ten rows."""
    outcome = run("def label_function(text):\n    while True: pass\n", ["a"] * 12)
    assert outcome.faults[:, 0].tolist() == [Fault.TIMEOUT] * 10 + [Fault.QUARANTINED] * 2
    assert "10 rows" in str(outcome.quarantined[0])


def test_a_swallowed_timeout_is_a_timeout() -> None:
    """A bare except gains no vote."""
    outcome = run(on_trigger("try:\n        while True: len(text)\n    except: return 0"))
    assert outcome.faults[:, 0].tolist() == [0, 0, Fault.TIMEOUT, 0, 0]


@pytest.mark.parametrize(("failing", "given_up"), [(101, True), (100, False)])
def test_more_than_half_of_the_first_rows_failing_quarantines(failing: int, given_up: bool) -> None:
    """The first 200 rows decide, and exactly half is not yet too many."""
    rows = ["x" if row < failing else "y" for row in range(210)]
    outcome = run("def label_function(text):\n    return {'y': 1}[text]\n", rows)
    assert (outcome.faults[:failing, 0] == Fault.EXCEPTION).all()
    assert (outcome.faults[200:, 0] == (Fault.QUARANTINED if given_up else 0)).all()
    assert (outcome.quarantined[0] is not None) == given_up


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def label_function(text)\n    return 1\n", "SyntaxError"),
        ("import numpy\ndef label_function(text):\n    return 1\n", "numpy"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("def other(text):\n    return 1\n", "label_function"),
        ("X = list(range(10**10))\ndef label_function(text):\n    return 1\n", "MemoryError"),
    ],
)
def test_what_does_not_load_is_reported(source: str, reason: str) -> None:
    """A program that cannot start votes nowhere, and the reason is given."""
    outcome = run(source)
    assert reason in str(outcome.load_errors[0])
    assert (outcome.faults[:, 0] == Fault.QUARANTINED).all()


def test_messages_are_cut_and_escaped() -> None:
    """Text from a program can forge no line of a log and fill no disk."""
    outcome = run("def label_function(text):\n    raise ValueError('\\ud800\\n\\x1b[2J' + 'x' * 10**6)\n")
    message = outcome.messages[0]
    assert message is not None
    assert message.isprintable()
    assert len(message) == 200


@pytest.fixture(scope="module")
def echo() -> Iterator[Sandbox]:
    """A sandbox whose first program votes the parity of a length, the second 1 on lone surrogates."""
    surrogates = "def label_function(text):\n    return int(any('\\ud800' <= c <= '\\udfff' for c in text))\n"
    with Sandbox([INNOCENT, surrogates], num_classes=2, limits=QUICK) as sandbox:
        yield sandbox


def test_null_rows_abstain_without_a_call(echo: Sandbox) -> None:
    """A null is no text: nobody is asked, and nothing is wrong."""
    outcome = echo.run([None, "a", None, "", "bb", None], seed=0)
    assert outcome.votes[:, 0].tolist() == [ABSTAIN, 1, ABSTAIN, 0, 0, ABSTAIN]
    assert not outcome.faults.any()


def test_arrow_and_lists_give_the_same(echo: Sandbox) -> None:
    """Slices, large strings, chunks and nulls are read as what they hold."""
    rows = ["a", None, "žluť", "", "🙂🙂🙂"]
    expected = echo.run(rows, seed=0).votes.tolist()
    for array in (
        pa.array(["skip", *rows]).slice(1),
        pa.array(rows, pa.large_string()),
        pa.chunked_array([rows[:2], rows[2:]]),
        pa.array(rows).dictionary_encode(),
    ):
        assert echo.run(array, seed=0).votes.tolist() == expected


def test_lone_surrogates_reach_a_program(echo: Sandbox) -> None:
    """Text that no encoding has is still a row."""
    outcome = echo.run(["ok", "bad \ud800 text"], seed=0)
    assert outcome.votes[:, 1].tolist() == [0, 1]
    assert not outcome.faults.any()


@pytest.mark.parametrize("rows", [[], [None, None]])
def test_no_texts_is_an_answer(echo: Sandbox, rows: list[str | None]) -> None:
    """As many rows out as in, also when no program has anything to do."""
    outcome = echo.run(rows, seed=0)
    assert outcome.votes.shape == outcome.faults.shape == (len(rows), 2)
    assert (outcome.votes == ABSTAIN).all()


def test_other_columns_than_text_are_refused(echo: Sandbox) -> None:
    """Numbers are no texts."""
    with pytest.raises(ValueError, match="strings"):
        echo.run(pa.array([1, 2]), seed=0)
