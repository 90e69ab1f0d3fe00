"""What makes a worker overdue, seen on a process that does nothing and on one that does nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from operators.sandbox.watchdog import Watch

pytestmark = pytest.mark.slow


@pytest.fixture
def start() -> Iterator[object]:
    """Start an interpreter with a line of code, and end it after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def function(code: str) -> int:
        started.append(subprocess.Popen([sys.executable, "-S", "-c", f"print(flush=True)\n{code}"], stdout=-1))
        assert started[-1].stdout is not None
        started[-1].stdout.readline()
        return started[-1].pid

    yield function
    for process in started:
        process.kill()
        process.communicate()


def first_reason(watch: Watch, *, seconds: float) -> str | None:
    """Look often, as a sandbox does, until there is a reason."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if why := watch.overdue(0):
            return why
        time.sleep(0.05)
    return None


def test_a_blocked_process_is_overdue(start) -> None:
    """It neither runs nor waits for a core; that it uses no CPU time saves it not."""
    watch = Watch(start("import time; time.sleep(99)"), cpu_s=99, blocked_s=0.5)
    assert "it was blocked for" in str(first_reason(watch, seconds=20))
    cpu_s, blocked_s = watch.spent()
    assert cpu_s < 0.2
    assert blocked_s > 0.4
    assert max(watch.spent()) < 0.2


def test_a_running_process_is_overdue_by_its_cpu_time(start) -> None:
    """However much of the machine it gets."""
    watch = Watch(start("while True: pass"), cpu_s=0.4, blocked_s=99)
    assert "CPU time and could not be interrupted" in str(first_reason(watch, seconds=30))
    assert watch.spent()[0] > 0.3


def test_progress_gives_new_time(start) -> None:
    """A process that gets on may go on."""
    watch = Watch(start("while True: pass"), cpu_s=1.0, blocked_s=99)
    for progress in range(40):
        assert watch.overdue(progress) is None
        time.sleep(0.05)


def test_an_absent_parent_blames_nobody(start) -> None:
    """One that was stopped, say with its container, has not seen that the worker did nothing all the time."""
    watch = Watch(start("import time; time.sleep(99)"), cpu_s=99, blocked_s=1.5)
    assert watch.overdue(0) is None
    time.sleep(2.5)
    assert watch.overdue(0) is None


def test_a_process_that_is_gone_is_not_overdue() -> None:
    """Its end is noticed elsewhere, and adds nothing to what it used."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "pass"])
    watch = Watch(process.pid, cpu_s=0.001, blocked_s=9)
    process.wait()
    watch.spent()
    assert watch.spent() == (0.0, pytest.approx(0, abs=1.0))
