"""Finds the processes of a run in /proc: those that it started, and those that outlive it.

A killed driver's processes lose their parent. This process adopts them (a subreaper), so that they can be waited for,
and nobody else's process is ever touched.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_SET_CHILD_SUBREAPER = 36
_BOOT = "operators/sandbox/boot.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process as /proc shows it.

    Attributes:
        pid: of it.
        parent: pid of its parent.
        dead: whether it has ended and waits to be buried.
        title: its command line, which Ray's workers change to ray::<what they run>.
    """

    pid: int
    parent: int
    dead: bool
    title: str


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this kernel gives no subreaper")


def descendants(pid: int) -> list[Process]:
    """Find all processes below one, in the order of their ids."""
    found: dict[int, Process] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        number = int(folder.name)
        found[number] = Process(pid=number, parent=int(fields[1]), dead=fields[0] == "Z", title=title)
    below = {pid}
    grown = True
    while grown:
        more = {p.pid for p in found.values() if p.parent in below} - below
        below |= more
        grown = bool(more)
    return sorted((found[number] for number in below - {pid} if number in found), key=lambda p: p.pid)


def victims(driver: int, kind: str) -> list[Process]:
    """Find the living processes of a run that are of a kind.

    Args:
        driver: pid of the process that was started.
        kind: "ray" (its workers: actors and remote calls), "zygote" or "worker" (of the sandbox).
    """
    return of_kind(descendants(driver), kind)


def of_kind(processes: list[Process], kind: str) -> list[Process]:
    """Select, as `victims` does, among processes found before."""
    living = [p for p in processes if not p.dead]
    if kind == "ray":
        return [p for p in living if p.title.startswith("ray::") and "IDLE" not in p.title]
    zygotes = {p.pid for p in living if _BOOT in p.title and "sandbox" in p.title and not _of_zygote(p, living)}
    if kind == "zygote":
        return [p for p in living if p.pid in zygotes]
    if kind == "worker":
        return [p for p in living if p.parent in zygotes]
    raise ValueError(f"kind must be ray, zygote or worker, got {kind!r}")


def _of_zygote(process: Process, living: list[Process]) -> bool:
    return any(other.pid == process.parent and _BOOT in other.title for other in living)


def wait_until_gone(*, seconds: float) -> list[Process]:
    """Wait until this process has no descendants, burying the adopted; kills and returns those that are left."""
    end = time.monotonic() + seconds
    while left := descendants(os.getpid()):
        for process in left:
            if process.dead and process.parent == os.getpid():
                os.waitpid(process.pid, os.WNOHANG)
        if time.monotonic() > end:
            for process in left:
                os.kill(process.pid, signal.SIGKILL)  # a descendant still; a dead one minds nothing
            return left
        time.sleep(0.1)
    return []
