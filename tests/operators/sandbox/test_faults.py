"""Every kind of fault: the right code in the right cell, the reason in words, and no cost to the neighbours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from operators.sandbox import wire
from operators.sandbox.pool import Limits, Outcome, Sandbox
from operators.schema import ABSTAIN, Fault

Run = Callable[..., Outcome]

ONE = "def label_function(text):\n    return 1\n"
LENGTH = "def label_function(text):\n    return len(text) % 3 - 1\n"
FULL = Limits(row_timeout_s=0.06, row_kill_s=0.3, blocked_s=2.0, restricted=False)


def program(body: str, *, top: str = "") -> str:
    """Write a program that does something on rows with an x, and votes 1 on others."""
    return f"{top}\ndef label_function(text):\n    if 'x' not in text:\n        return 1\n    {body}\n"


def test_codes_of_the_child_are_the_schema_s() -> None:
    """The child cannot import the schema, so its numbers are written twice."""
    assert (wire.EXCEPTION, wire.TIMEOUT, wire.MEMORY, wire.BAD_LABEL) == (
        Fault.EXCEPTION, Fault.TIMEOUT, Fault.MEMORY, Fault.BAD_LABEL,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "fault", "message"),
    [
        ("return {}[text]", Fault.EXCEPTION, "KeyError"),
        ("raise BaseException('odd')", Fault.EXCEPTION, "odd"),
        ("return 'spam'", Fault.BAD_LABEL, "str 'spam'"),
        ("return 2", Fault.BAD_LABEL, "the integer 2; expected 0..1"),
        ("return -2", Fault.BAD_LABEL, "the integer -2; expected 0..1"),
        (f"return {wire.PENDING}", Fault.BAD_LABEL, "integer -128"),
        ("return 10**40 * 10", Fault.BAD_LABEL, "very large"),
        ("return None", Fault.BAD_LABEL, "NoneType"),
        ("return 1.0", Fault.BAD_LABEL, "float 1.0"),
        ("while True: pass", Fault.TIMEOUT, "time"),
        ("return sum(range(10**14))", Fault.TIMEOUT, "CPU time and could not be interrupted"),
        ("return len('a' * 10**10)", Fault.MEMORY, "MemoryError"),
    ],
)
def test_a_fault_costs_its_own_row_only(run: Run, body: str, fault: Fault, message: str) -> None:
    """Exactly the faulted row abstains, with the code and a message that says what happened; the next row votes."""
    outcome = run([ONE, program(body), LENGTH], ["a", "x", "bb"])
    assert outcome.faults.tolist() == [[0, 0, 0], [0, fault, 0], [0, 0, 0]]
    assert outcome.votes.tolist() == [[1, 1, 0], [1, ABSTAIN, 0], [1, 1, 1]]
    assert message in str(outcome.messages[1])
    assert outcome.quarantined == outcome.load_errors == (None, None, None)


def test_a_crash_costs_the_row_and_three_the_rest(run: Run) -> None:
    """A dead worker is replaced; the third death ends the program's run."""
    source = program("os.abort()", top="import os")
    outcome = run([source, ONE], ["a", "x", "b", "x", "x", "b", "x"], limits=FULL)
    crash, gone = Fault.CRASH, Fault.QUARANTINED
    assert outcome.faults[:, 0].tolist() == [0, crash, 0, crash, crash, gone, gone]
    assert not outcome.faults[:, 1].any()
    assert "killed by SIG" in str(outcome.quarantined[0])
    assert "SIG" in str(outcome.messages[0])


@pytest.mark.parametrize("body", ["os.fork()", "os.kill(os.getppid(), 9)", "os.execv('/bin/sh', ['sh'])"])
def test_a_forbidden_call_quarantines_at_once(run: Run, body: str) -> None:
    """A program that tries to start a process, or to end one, is not run again; a null row stays one."""
    outcome = run([program(body, top="import os"), ONE], ["a", "x", "b", None], limits=FULL)
    assert outcome.faults[:, 0].tolist() == [0, Fault.VIOLATION, Fault.QUARANTINED, 0]
    assert outcome.votes.tolist() == [[1, 1], [ABSTAIN, 1], [ABSTAIN, 1], [ABSTAIN, ABSTAIN]]
    assert "forbidden system call" in str(outcome.quarantined[0])


@pytest.mark.parametrize("forged", [b"x" * 16, b"cposix\nsystem\n" * 50])
def test_a_forged_reply_quarantines_at_once(run: Run, forged: bytes) -> None:
    """Bytes that are no answer end the program's run, whatever they are; they are least of all unpickled."""
    outcome = run([program(f"os.write(4, {forged!r}); return 1", top="import os"), ONE], ["a", "x", "b"], limits=FULL)
    assert "protocol" in str(outcome.quarantined[0])
    assert Fault.VIOLATION in outcome.faults[:, 0]
    assert outcome.votes[:, 1].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import numpy\n" + ONE, "numpy"),
        ("def other(text):\n    return 1\n", "label_function"),
        ("1 / 0\n" + ONE, "ZeroDivisionError"),
        ("def label_function(:\n", "SyntaxError"),
        ("while True: pass\n" + ONE, "CPU"),
        ("X = list(range(10**10))\n" + ONE, "MemoryError"),
        (f"# {'x' * wire.MAX_SOURCE}\n{ONE}", "bytes"),
    ],
)
def test_a_program_that_does_not_load_is_reported(quick: Limits, source: str, reason: str) -> None:
    """It is named with the reason, with rows and without, and its neighbour votes."""
    with Sandbox([source, ONE], num_classes=2, limits=quick) as sandbox:
        for texts in ([], ["a", None]):
            outcome = sandbox.run(texts, seed=0)
            assert reason in str(outcome.load_errors[0])
            assert outcome.quarantined[0] is not None
            assert outcome.load_errors[1] is None
            assert outcome.votes.shape == (len(texts), 2)
        assert outcome.faults.tolist() == [[Fault.QUARANTINED, 0], [0, 0]]
        assert outcome.votes.tolist() == [[ABSTAIN, 1], [ABSTAIN, ABSTAIN]]


def test_a_message_is_safe_to_print(run: Run) -> None:
    """Text from a program can forge no line of a log and fill no disk: it is escaped, and its length bounded."""
    source = program(r"raise ValueError('\ud800\n2026 FATAL\x1b[2J' + 'a' * 10**6)")
    (message,) = run([source], ["x"]).messages
    assert message is not None
    assert message.isprintable()
    assert len(message) == 200
    assert "FATAL" in message


def test_getattr_reaches_public_names_only(run: Run) -> None:
    """The guard holds for names that are built at run time."""
    outcome = run([program("return getattr(text, '__cl' + 'ass__')"), program("return hasattr(text, 'lower')")], ["x"])
    assert outcome.faults.tolist() == [[Fault.EXCEPTION, 0]]
    assert outcome.votes.tolist() == [[ABSTAIN, 1]]
