"""What this process and all below it take, Ray's processes and the sandbox's among them: CPU time and memory.

Ray does not wait for its workers, so that the kernel adds their time to nobody's: each process is looked at a few
times a second, and what it had at the last look counts. Workers of the sandbox are too short-lived for that, but their
zygote does wait for them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

_LOOK_S = 0.2
_LOOKS_A_MEMORY = 5
"""Reading what belongs to a process alone takes the kernel a millisecond."""


@dataclass(slots=True, kw_only=True)
class Usage:
    """What happened in a block.

    Attributes:
        seconds: wall time.
        cpu_s: of this process and all below it.
        driver_bytes: the most memory that this process held.
        all_bytes: the most that it and those below it held, shared pages left out.
    """

    seconds: float = 0.0
    cpu_s: float = 0.0
    driver_bytes: int = 0
    all_bytes: int = 0


@contextmanager
def used() -> Iterator[Usage]:
    """Measure what happens in the block."""
    usage, done = Usage(), threading.Event()
    before = _look({})
    seen = dict(before)

    def sample() -> None:
        looks = 0
        while not done.wait(_LOOK_S):
            _look(seen)
            usage.driver_bytes = max(usage.driver_bytes, psutil.Process().memory_info().rss)
            if looks % _LOOKS_A_MEMORY == 0:
                usage.all_bytes = max(usage.all_bytes, _memory())
            looks += 1

    sampler, start = threading.Thread(target=sample, daemon=True), time.perf_counter()
    sampler.start()
    try:
        yield usage
    finally:
        done.set()
        sampler.join()
        usage.seconds = time.perf_counter() - start
        _look(seen)
        usage.cpu_s = sum(cpu_s - before.get(process, 0.0) for process, cpu_s in seen.items())


def _tree() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def _look(seen: dict[tuple[int, float], float]) -> dict[tuple[int, float], float]:
    """Bring {(pid, start): CPU seconds} up to date."""
    zygotes = set()
    for process in _tree():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.ppid() in zygotes:
                continue
            times = process.cpu_times()
            cpu_s = times.user + times.system
            if any(part.endswith("zygote.py") for part in process.cmdline()):
                zygotes.add(process.pid)
                cpu_s += times.children_user + times.children_system
            seen[process.pid, process.create_time()] = cpu_s
    return seen


def _memory() -> int:
    total = 0
    for process in _tree():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().uss
    return total
