"""Hostile programs between two innocent neighbours: contained, noticed, and of no consequence for the others.

All of this holds without namespaces, because the sandbox makes none: see test_hostile_user.py, which also runs this
file as a user who is not root.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from operators.sandbox.pool import Limits, Outcome, Sandbox
from operators.sandbox.screen import screen
from operators.schema import Fault

pytestmark = pytest.mark.slow

CANARY = Path("/tmp/alchemist_canary")
KEPT = Path("/tmp/alchemist_keepme")
LOCK = Path("/tmp/alchemist_hostile.lock")
TRIGGER = 7
ROWS = [f"row {i} hello this song is great free win" if i != TRIGGER else "row 7 TRIGGER text" for i in range(24)]

FIRST = """
import re
from collections import Counter
def label_function(text):
    return 1 if re.search("free|win", text) else Counter(text.split()).most_common(1)[0][1] - 1
"""
SECOND = """
import math, re
DIGITS = re.compile(r"\\d+")
def label_function(text):
    return 1 if math.sqrt(len(text)) > 6.2 and DIGITS.search(text) and isinstance(text, str) else 0
"""
FIRST_VOTES = [1 if re.search("free|win", t) else Counter(t.split()).most_common(1)[0][1] - 1 for t in ROWS]
SECOND_VOTES = [1 if len(t) ** 0.5 > 6.2 and re.search(r"\d+", t) else 0 for t in ROWS]


def header(source: str, key: str) -> str:
    """Read one line of a hostile program's header."""
    found = re.search(rf"^# {key}: (.*)$", source, re.MULTILINE)
    assert found, f"the header has no {key}"
    return found[1].strip()


@pytest.fixture(autouse=True)
def canary(request: pytest.FixtureRequest) -> Iterator[None]:
    """No file appears or goes, whatever a program tries."""
    hostile: Path | None = request.node.callspec.params["hostile"]
    if hostile is None or not any(path.name in hostile.read_text(encoding="utf-8") for path in (CANARY, KEPT)):
        yield
        assert not CANARY.exists()
        return
    # The program names these paths, so test runs on one machine take turns, whoever they run as.
    lock = opened_lock()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in (CANARY, KEPT):
            path.unlink(missing_ok=True)
        KEPT.write_text("x")
        try:
            yield
            assert KEPT.exists()
            assert not CANARY.exists()
        finally:
            # What stays would be another user's, who could then not unlink it in the next run.
            for path in (CANARY, KEPT):
                path.unlink(missing_ok=True)
    finally:
        os.close(lock)


def opened_lock() -> int:
    """Open the lock, which is whose run came first and stays for ever; reading it is enough to lock it."""
    while True:
        try:
            return os.open(LOCK, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            # Never O_CREAT on a file that is there: in /tmp a kernel may refuse that to all but its owner.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(LOCK, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o644))


def words(outcome: Outcome) -> set[str]:
    """Put an outcome into the words of the hostile programs' headers."""
    if outcome.load_errors[1] is not None:
        return {"load_error"}
    found = set()
    for fault in outcome.faults[:, 1]:
        found |= {
            Fault.EXCEPTION: {"error"},
            Fault.MEMORY: {"error"},
            Fault.TIMEOUT: {"timeout", "killed"},
            Fault.CRASH: {"killed"},
            Fault.BAD_LABEL: {"badret"},
            Fault.VIOLATION: {"protocol" if "protocol" in str(outcome.quarantined[1]) else "sigsys"},
        }.get(Fault(fault), set())
    return found or {"ok"}


def contained(outcome: Outcome, expected: str) -> bool:
    """Whether an outcome is one of those expected; a 1 at the end means exactly the trigger row."""
    found = words(outcome)
    for word in expected.split("|"):
        exact = word.endswith("1")
        only_there = np.flatnonzero(outcome.faults[:, 1]).tolist() == [TRIGGER]
        if word == "any" or (word.rstrip("1") in found and (only_there or not exact)):
            return True
    return False


def check(hostile: Path, *, restricted: bool, layers: tuple[str, ...] = Limits().layers) -> None:
    """Run one hostile program between its neighbours, twice."""
    source = hostile.read_text(encoding="utf-8")
    expected = header(source, "EXPECT_RESTRICTED" if restricted else "EXPECT")
    limits = Limits(
        row_timeout_s=0.06, memory_bytes=256 << 20, row_kill_s=0.25, blocked_s=2.0, load_timeout_s=3.0,
        restricted=restricted, layers=layers,
    )  # fmt: skip
    with Sandbox([FIRST, source, SECOND], num_classes=2, limits=limits) as sandbox:
        zygote = sandbox._zygote
        outcome = sandbox.run(ROWS, seed=0)
        again = sandbox.run(ROWS[:5], seed=0)
        assert zygote.alive
        assert sandbox._zygote is zygote
    for result in (outcome, again):
        assert result.votes[:, 0].tolist() == FIRST_VOTES[: len(result.votes)]
        assert result.votes[:, 2].tolist() == SECOND_VOTES[: len(result.votes)]
        assert not result.faults[:, [0, 2]].any()
        assert (result.votes[result.faults != 0] == -1).all()
    for text in (outcome.messages[1], outcome.quarantined[1], outcome.load_errors[1]):
        assert text is None or (text.isprintable() and len(text) <= 300)
    assert contained(outcome, expected), (expected, words(outcome), outcome.faults[:, 1].tolist(), outcome)


def test_the_screen_sorts_hostile_programs_as_stated(hostile: Path) -> None:
    """What syntax can tell is told before anything runs."""
    source = hostile.read_text(encoding="utf-8")
    assert ("reject" if screen(source).problems else "accept") == header(source, "GATE")


def test_the_kernel_alone_contains_hostile_programs(hostile: Path) -> None:
    """With all builtins and no screen, a program harms neither its neighbours nor the machine."""
    os.environ["SECRET_TOKEN"] = "hunter2"
    try:
        check(hostile, restricted=False)
    finally:
        del os.environ["SECRET_TOKEN"]


def test_the_small_namespace_contains_hostile_programs(hostile: Path) -> None:
    """As programs run in earnest, should the screen let one through."""
    check(hostile, restricted=True)


def test_seccomp_alone_contains_hostile_programs(hostile: Path) -> None:
    """Level 2 holds all the same: without Landlock, as on old kernels, and as a root that cannot give root up."""
    check(hostile, restricted=False, layers=("seccomp",))
