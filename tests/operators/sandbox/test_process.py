"""Processes of the sandbox: what they inherit, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from operators.sandbox.pool import Limits, Sandbox
from operators.sandbox.process import shown
from operators.schema import Fault

ROOT = Path(__file__).resolve().parents[3]
ENDLESS = "def label_function(text):\n    return sum(range(10**15))\n"
SLOW = "def label_function(text):\n    return sum(range(200_000)) % 2\n"


def children(pid: int) -> list[int]:
    """Find the processes whose parent is this one."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def wait_until(check: object, *, seconds: float = 20) -> bool:
    """Ask again until it holds."""
    assert callable(check)
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_closing_ends_the_processes() -> None:
    """With the block ends the zygote."""
    with Sandbox([SLOW], num_classes=2, limits=Limits()) as sandbox:
        pid = sandbox._zygote.pid
        assert not gone(pid)
    assert gone(pid)


@pytest.mark.slow
def test_the_death_of_the_parent_ends_the_processes() -> None:
    """A parent that is killed in the middle of an endless row leaves neither zygote nor worker."""
    code = (
        "from operators.sandbox.pool import Limits, Sandbox\n"
        f"with Sandbox([{ENDLESS!r}], num_classes=2, limits=Limits(row_kill_s=600)) as sandbox:\n"
        "    sandbox.run(['a'], seed=0)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        assert wait_until(lambda: any(children(zygote) for zygote in children(parent.pid)))
        (zygote,) = children(parent.pid)
        family = [zygote, *children(zygote)]
    finally:
        parent.kill()
        parent.wait()
    assert wait_until(lambda: all(gone(pid) for pid in family), seconds=5)


@pytest.mark.slow
def test_the_zygote_s_death_in_the_middle_loses_no_vote() -> None:
    """The rows that were under way are run again by a new one."""
    texts = ["a"] * 100
    with Sandbox([SLOW, SLOW], num_classes=2, limits=Limits(sample_rows=30)) as sandbox:
        pid = sandbox._zygote.pid
        killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
        killer.start()
        outcome = sandbox.run(texts, seed=0)
        killer.join()
        assert sandbox._zygote.pid != pid
    expected = sum(range(200_000)) % 2
    assert (outcome.votes == expected).all()
    assert not outcome.faults.any()


def test_a_program_sees_neither_environment_nor_packages() -> None:
    """The child starts with three variables, and the path leads to the standard library alone."""
    source = (
        "import os, sys\nKEYS = set(os.environ) - {'PYTHONHASHSEED', 'LANG', 'LC_ALL'}\n"
        "BAD = [p for p in sys.path if 'site-packages' in p or 'sandbox' in p]\n"
        "def label_function(text):\n    return 1 if KEYS or BAD or 'operators' in sys.modules else 0\n"
    )
    with Sandbox([source], num_classes=2, limits=Limits(restricted=False)) as sandbox:
        outcome = sandbox.run(["a"], seed=0)
    assert outcome.faults.tolist() == [[Fault.NONE]]
    assert outcome.votes.tolist() == [[0]]


def test_shown_text_is_escaped_and_cut() -> None:
    """What a program says cannot forge a line of a log."""
    assert shown(b"a\nb\x1b[2J") == "a\\nb\\x1b[2J"
    assert shown(b"\xff" * 500) == ("\\xff" * 500)[:200]
    assert shown("é 日".encode()) == "é 日"
