"""The self-test finds out what holds, however often somebody kills the processes with which it does."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from operators.errors import SandboxError
from operators.sandbox.pool import Limits, Sandbox

ONE = "def label_function(text):\n    return 1\n"


def children(pid: int) -> list[int]:
    """Find the processes whose parent is this one."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(status.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(status.parent.name))
        except OSError:
            continue
    return found


def start_while_killing(times: int) -> tuple[int, Sandbox | SandboxError]:
    """Start a sandbox and kill the first zygotes as soon as they are there; returns how many, and what came of it."""
    killed: list[int] = []
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set() and len(killed) < times:
            for pid in children(os.getpid()):
                if pid not in killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            time.sleep(0.001)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        made: Sandbox | SandboxError = Sandbox([ONE], num_classes=2, limits=Limits())
    except SandboxError as error:
        made = error
    finally:
        stop.set()
        thread.join()
    return len(killed), made


@pytest.mark.slow
def test_a_zygote_killed_while_it_starts_is_started_again() -> None:
    """A kill in the first milliseconds is no reason to fail."""
    killed, made = start_while_killing(1)
    assert killed == 1
    assert isinstance(made, Sandbox), made
    with made as sandbox:
        assert sandbox.run(["a"], seed=0).votes.tolist() == [[1]]


@pytest.mark.slow
def test_one_killed_each_time_is_an_error() -> None:
    """The error names what may be wrong with the machine."""
    killed, made = start_while_killing(100)
    assert killed >= 3
    assert isinstance(made, SandboxError)
    assert "out of memory" in str(made)
