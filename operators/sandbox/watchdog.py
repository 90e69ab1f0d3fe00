"""Decides from outside when a worker has to be killed.

By CPU time, or by time that it spent neither running nor waiting for a core; never by the clock alone, which on a busy
machine would punish a program for its neighbours.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


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
        self._since = (0.0, 0.0, 0.0)
        self._at_start_s = self._ran_s = _scheduled(pid)[0]

    @property
    def used_s(self) -> float:
        """CPU seconds that the worker has used since the command, as far as that was seen before it ended."""
        self._ran_s = max(self._ran_s, _scheduled(self._pid)[0])
        return self._ran_s - self._at_start_s

    def overdue(self, progress: int) -> str | None:
        """Look at the worker now.

        Args:
            progress: how far it has come; only a number above all earlier ones counts.

        Returns:
            None, or why it should be killed.
        """
        now = (time.monotonic(), *_scheduled(self._pid))
        if progress > self._progress:
            self._progress, self._since = progress, now
            return None
        passed, ran, waited = (after - before for after, before in zip(now, self._since, strict=True))
        if ran > self._cpu_s:
            return f"it used {ran:.1f} s of CPU time and could not be interrupted"
        if passed - ran - waited > self._blocked_s:
            return f"it was blocked for {passed - ran - waited:.1f} s"
        return None


def private_bytes(pid: int) -> int:
    """Memory that a process shares with nobody, in bytes; 0 where it is gone."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_bytes().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE_BYTES


def _scheduled(pid: int) -> tuple[float, float]:
    """Seconds that a process ran, and that it waited for a core."""
    try:
        ran, waited, *_ = Path(f"/proc/{pid}/schedstat").read_bytes().split()
        return int(ran) / 1e9, int(waited) / 1e9
    except (OSError, ValueError):
        pass
    try:  # kernels without schedstat
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0, 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S, 0.0
