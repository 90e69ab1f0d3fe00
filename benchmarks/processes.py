"""Finds the processes of a run in /proc: those that it started, and those that outlive it.

A killed driver's processes lose their parent. This process adopts them (a subreaper), so that they can be waited for,
and nobody else's process is ever touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_SET_CHILD_SUBREAPER = 36
_BOOT = "operators/sandbox/boot.py"
_STEPS = ("MapBatches", "MapWorker")
_OURS = (_BOOT, *_STEPS, "ray::Attempts", "-m engine ")
_RAYS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray/dashboard/agent.py", "runtime_env/agent/main.py")


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


def of_kind(processes: list[Process], kind: str) -> list[Process]:
    """Select the living processes of a kind.

    Args:
        processes: as `descendants` gives them.
        kind: "ray" (its workers at a step: actors and remote calls), "zygote" or "worker" (of the sandbox).
    """
    living = [p for p in processes if not p.dead]
    if kind == "ray":
        return [p for p in living if p.title.startswith("ray::") and any(step in p.title for step in _STEPS)]
    zygotes = {p.pid for p in living if _BOOT in p.title and not _of_zygote(p, living)}
    if kind == "zygote":
        return [p for p in living if p.pid in zygotes]
    if kind == "worker":
        return [p for p in living if p.parent in zygotes]
    raise ValueError(f"kind must be ray, zygote or worker, got {kind!r}")


def _of_zygote(process: Process, living: list[Process]) -> bool:
    return any(other.pid == process.parent and _BOOT in other.title for other in living)


def left_over(*, seconds: float, node: int) -> tuple[list[Process], list[Process]]:
    """Wait until nothing of a run is left, and end what is.

    Args:
        seconds: to wait; Ray's agents, which look for their parent only now and then, may need longer.
        node: pid of a node that stays; the workers below it that Ray keeps are not left over.

    Returns:
        Processes of ours (programs, steps, drivers), and Ray's own, that were there at the end and were then ended.
    """
    end = time.monotonic() + seconds
    ours, rays = _left(node)
    while ours and time.monotonic() < end:
        time.sleep(0.1)
        ours, rays = _left(node)
    while not ours and rays and time.monotonic() < end:
        time.sleep(0.1)
        ours, rays = _left(node)
    for process in ours + rays:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return ours, rays


def _left(node: int) -> tuple[list[Process], list[Process]]:
    """Bury the adopted dead; sort the living into ours and Ray's."""
    every = descendants(os.getpid())
    for process in every:
        if process.dead and process.parent == os.getpid() and process.pid != node:
            os.waitpid(process.pid, os.WNOHANG)
    living = [process for process in every if not process.dead]
    of_node = {process.pid for process in descendants(node)} | {node}
    ours = [p for p in living if any(mark in p.title for mark in _OURS)]
    others = [p for p in living if p not in ours and p.pid not in of_node]
    rays = [p for p in others if any(mark in p.title for mark in _RAYS)]
    return ours + [p for p in others if p not in rays], rays
