"""Decides from outside when a worker has to be killed.

By CPU time, or by time that it spent neither running nor waiting for a core; never by the clock alone, which on a busy
machine would punish a program for its neighbours.
"""

from __future__ import annotations

import os
import time

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LONGEST_LOOK_S = 1.0  # a parent that was stopped itself, or starved, must not take its own absence for the worker's


class Watch:
    """Watches one worker at one command.

    Args:
        pid: of the worker.
        cpu_s: CPU seconds that it may use without progress.
        blocked_s: seconds that it may neither run nor wait for a core without progress.
    """

    def __init__(self, pid: int, *, cpu_s: float, blocked_s: float) -> None:
        self._pid = pid
        self._cpu_s = cpu_s
        self._blocked_s = blocked_s
        self._progress = -1
        self._seen = (time.monotonic(), *_scheduled(pid))
        self._idle_s = 0.0
        self._since = self._told = (self._seen[1], 0.0)

    def spent(self) -> tuple[float, float]:
        """Look at the worker now.

        Returns:
            CPU seconds that it has used since this was last asked, at first since the command; and seconds in which it
            neither ran nor waited for a core.
        """
        self._look()
        before, self._told = self._told, (self._seen[1], self._idle_s)
        return self._told[0] - before[0], self._told[1] - before[1]

    def overdue(self, progress: int) -> str | None:
        """Look at the worker now.

        Args:
            progress: how far it has come; only a number above all earlier ones counts.

        Returns:
            None, or why it should be killed.
        """
        self._look()
        if progress > self._progress:
            self._progress, self._since = progress, (self._seen[1], self._idle_s)
            return None
        ran, idle = self._seen[1] - self._since[0], self._idle_s - self._since[1]
        if ran > self._cpu_s:
            return f"it used {ran:.1f} s of CPU time and could not be interrupted"
        return f"it was blocked for {idle:.1f} s" if idle > self._blocked_s else None

    def _look(self) -> None:
        now = (time.monotonic(), *_scheduled(self._pid))
        passed, ran, waited = (after - before for after, before in zip(now, self._seen, strict=True))
        if ran < 0:
            return  # it is gone
        # Below 0 at times: the kernel adds up a wait for a core when it ends.
        self._idle_s += min(passed - ran - waited, _LONGEST_LOOK_S)
        self._seen = now


def private_bytes(pid: int) -> int:
    """Memory that a process shares with nobody, in bytes; 0 where it is gone."""
    try:
        _, resident, shared, *_ = _read(f"/proc/{pid}/statm").split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE_BYTES


def _scheduled(pid: int) -> tuple[float, float]:
    """Seconds that a process ran, and that it waited for a core."""
    try:
        ran, waited, *_ = _read(f"/proc/{pid}/schedstat").split()
        return int(ran) / 1e9, int(waited) / 1e9
    except (OSError, ValueError):
        pass
    try:  # kernels without schedstat
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return 0.0, 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S, 0.0


def _read(path: str) -> bytes:
    """Read a small file of /proc; done some times a batch, where pathlib takes longer than the kernel."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
