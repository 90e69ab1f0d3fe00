"""However a run on Ray ends, no process of its sandboxes outlives it, though a program never returns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]
DRIVER = """
import os
import sys
from pathlib import Path
from typing import TypeVar

from cluster.session import connect
from operators.sandbox.pool import Limits, Sandbox
from operators.stream import run_shards

ENDLESS = "def label_function(text):\\n    return sum(range(10**15))\\n"


class Endless:
    def __init__(self, *, folder):
        self.sandbox = Sandbox([ENDLESS, ENDLESS], num_classes=2, limits=Limits(row_kill_s=600, batch_timeout_s=600))
        Path(folder, f"{os.getpid()}.part").write_text(str(self.sandbox._zygote.pid))
        Path(folder, f"{os.getpid()}.part").rename(Path(folder, f"{os.getpid()}.actor"))

    def __call__(self, item):
        self.sandbox.run(["a"], seed=0)
        return b""


with connect(num_cpus=2):
    list(run_shards(["a", "b"], Endless, step_args={"folder": sys.argv[1]}, num_actors=1))
"""

# Ray's own two stay for a minute (63 s were seen), trying to report the end of Ray to a Ray that has ended.
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")

T = TypeVar("T")
Process = tuple[int, str]
"""Its number and the time of its start, since numbers are used again."""


def processes() -> dict[Process, int]:
    """Find all that live, with the number of their parent."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                found[int(path.parent.name), fields[19]] = int(fields[1])
    return found


def name(pid: int) -> str:
    """First word of a process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
    except OSError:
        return ""


def family(pid: int) -> set[Process]:
    """Find a process and all that descend from it."""
    parents = processes()
    found = {process for process in parents if process[0] == pid}
    while True:
        known = {process[0] for process in found}
        more = {process for process, parent in parents.items() if parent in known} - found
        if not more:
            return found
        found |= more


def wait_for(ask: Callable[[], T | None], *, seconds: float) -> T:
    """Ask again until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)
    return answer


def all_gone(expected: set[Process], *, seconds: float) -> None:
    """Wait until none of them lives."""
    try:
        wait_for(lambda: not expected & processes().keys(), seconds=seconds)
    except AssertionError:
        told = sorted(name(pid) for pid, _ in expected & processes().keys())
        raise AssertionError(f"still there after {seconds} s: {told}") from None


def sandbox_at_work(folder: Path, *, but: int | None = None) -> tuple[int, set[Process]] | None:
    """Find an actor, and its zygote with two workers once they are there."""
    for path in folder.glob("*.actor"):
        actor = int(path.stem)
        found = family(int(path.read_text()))
        if actor != but and len(found) == 3:
            return actor, found
    return None


@contextmanager
def driver(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], set[Process]]]:
    """Run the driver as a shell would, in a process group of its own; what is put into the set is killed at the end."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(folder)], cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    started: set[Process] = set()
    try:
        yield process, started
    except BaseException:
        print((folder / "log").read_text(errors="replace")[-4000:])
        raise
    finally:
        if process.poll() is None:
            started |= family(process.pid)
        for pid, _ in started & processes().keys():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def test_the_end_of_an_actor_and_of_the_driver_end_all(tmp_path: Path) -> None:
    """A killed actor takes its sandbox with it, before another takes its place; a killed driver takes all."""
    with driver(tmp_path) as (process, started):
        actor, sandbox = wait_for(lambda: sandbox_at_work(tmp_path), seconds=60)
        os.kill(actor, signal.SIGKILL)
        all_gone(sandbox, seconds=5)
        wait_for(lambda: sandbox_at_work(tmp_path, but=actor), seconds=60)
        started |= (everything := family(process.pid))
        assert len(everything) > 5  # Ray's own among them
        agents = {member for member in everything if name(member[0]) in AGENTS}
        process.kill()
        process.wait()
        all_gone(everything - agents, seconds=60)


def test_ctrl_c_ends_all(tmp_path: Path) -> None:
    """An interrupt from the terminal ends the driver, and everything with it."""
    with driver(tmp_path) as (process, started):
        wait_for(lambda: sandbox_at_work(tmp_path), seconds=60)
        started |= (everything := family(process.pid))
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(120) != 0
        all_gone(everything, seconds=60)
