"""A worker that somebody else kills costs no vote; one that is killed at the same place each time is charged.

Programs cannot send signals, so these are sent by the test, which finds workers as the children of the zygote.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from operators.sandbox.pool import Limits, Sandbox
from operators.schema import Fault

# Its votes depend on all rows before, so that going on in the middle would show.
COUNTS = """
n = 0
def label_function(text):
    global n
    n += 1
    sum(range(100_000))
    return n // 3 % 2
"""
WAITS_AT_X = """
import _thread
LOCK = _thread.allocate_lock()
LOCK.acquire()
def label_function(text):
    if text == "x":
        LOCK.acquire(True, 600)
    return 1
"""
CLOSES = """
import os, time
def label_function(text):
    if text == "x" or text == "any" and time.monotonic_ns() % 7 == 0:
        os.close(4)
        sum(range(10**9))
    return 1
"""


def workers_of(zygote: int) -> list[int]:
    """Find the living workers of a zygote."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == zygote and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


@contextmanager
def killing(sandbox: Sandbox, *, when: Callable[[int, int], bool], times: int, after_s: float) -> Iterator[list[int]]:
    """Kill workers from a thread, each once it is ready (asked with its number); gives those killed."""
    killed: list[int] = []
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set() and len(killed) < times:
            for pid in workers_of(sandbox._zygote.pid):
                if pid not in killed and when(pid, len(killed)):
                    time.sleep(after_s)
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    break
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def sleeps(pid: int, number: int) -> bool:
    """Whether a worker waits in a row: in a futex, where one that waits for a command is in a read of a pipe."""
    try:
        return "futex" in Path(f"/proc/{pid}/wchan").read_text() or (
            Path(f"/proc/{pid}/syscall").read_text().split()[0] in {"202", "98"}
        )
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 3])
def test_a_worker_killed_from_outside_costs_no_vote(times: int) -> None:
    """The programs begin anew, so that votes are what they would have been, those of a program with a state too."""
    texts = ["a"] * 400
    with Sandbox([COUNTS], num_classes=2, limits=Limits()) as sandbox:
        calm = sandbox.run(texts, seed=0)
        with killing(
            sandbox, when=lambda pid, number: cpu_s(pid) > 0.1 * (1 + number), times=times, after_s=0.0
        ) as killed:
            outcome = sandbox.run(texts, seed=0)
    assert len(killed) == times
    assert np.array_equal(outcome.votes, calm.votes)
    assert calm.votes.any()
    assert not outcome.faults.any()
    assert outcome.messages == (None,)


@pytest.mark.slow
def test_a_group_begins_anew_as_a_whole() -> None:
    """Programs that share a worker share its death, and none of them is charged."""
    texts = ["a"] * 300
    with Sandbox([COUNTS, COUNTS], num_classes=2, limits=Limits(group_size=2, sample_rows=50)) as sandbox:
        calm = sandbox.run(texts, seed=0)
        with killing(sandbox, when=lambda pid, _: cpu_s(pid) > 0.3, times=1, after_s=0.0) as killed:
            outcome = sandbox.run(texts, seed=0)
    assert len(killed) == 1
    assert np.array_equal(outcome.votes, calm.votes)
    assert not outcome.faults.any()


@pytest.mark.slow
def test_killed_at_the_same_row_again_it_is_a_crash() -> None:
    """As the kernel kills a program that eats the machine's memory: the row crashes, its neighbours vote."""
    limits = Limits(restricted=False, blocked_s=60)
    with Sandbox([WAITS_AT_X], num_classes=2, limits=limits) as sandbox:
        with killing(sandbox, when=sleeps, times=2, after_s=0.3) as killed:
            outcome = sandbox.run(["a", "a", "x", "a"], seed=0)
    assert len(killed) == 2
    assert outcome.faults[:, 0].tolist() == [0, 0, Fault.CRASH, 0]
    assert outcome.votes[:, 0].tolist() == [1, 1, -1, 1]
    assert outcome.messages == ("the process ended",)


def test_a_program_that_leaves_its_worker_dead_is_charged_each_time() -> None:
    """One that closes its pipe looks like one that was killed; it crashes at the same rows in the end."""
    with Sandbox([CLOSES], num_classes=2, limits=Limits(restricted=False)) as sandbox:
        outcome = sandbox.run(["a", "x", "a", "x", "x", "a", "x"], seed=0)
    crash, gone = Fault.CRASH, Fault.QUARANTINED
    assert outcome.faults[:, 0].tolist() == [0, crash, 0, crash, crash, gone, gone]


def test_a_program_that_dies_at_ever_new_rows_comes_to_an_end() -> None:
    """What is forgiven is bounded, so that a program cannot have its rows run for ever."""
    with Sandbox([CLOSES], num_classes=2, limits=Limits(restricted=False)) as sandbox:
        outcome = sandbox.run(["any"] * 500, seed=0)
    assert np.count_nonzero(outcome.faults == Fault.CRASH) == 3
    assert outcome.quarantined[0] is not None
