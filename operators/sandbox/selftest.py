"""Finds out how far the sandbox of this machine really isolates: throwaway workers try what must fail."""

from __future__ import annotations

import select
import signal
from dataclasses import dataclass

from operators.errors import SandboxError
from operators.sandbox import wire
from operators.sandbox.memory import Results, Texts
from operators.sandbox.probes import PROBES
from operators.sandbox.process import Worker, WorkerGone, Zygote, ZygoteGone

_ANSWER_MS = 30_000
_MAX_TRIES = 3  # of a probe whose worker somebody kills
_NAMES = {"open": "open a file", "socket": "open a socket", "fork": "start a process", "execute": "make code"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What holds here.

    Attributes:
        level: 3 seccomp and Landlock (and no root), 2 seccomp, 1 Landlock, 0 neither.
        layers: that were taken and hold.
        missing: what does not, a sentence each.
    """

    level: int
    layers: tuple[str, ...]
    missing: tuple[str, ...]


def examine(zygote: Zygote, texts: Texts, *, memory_bytes: int) -> Isolation:
    """Try every probe in a worker of its own.

    Args:
        zygote: just started.
        texts: of no rows.
        memory_bytes: for a worker.

    Raises:
        ZygoteGone: it ended meanwhile.
        SandboxError: a probe got no answer.
    """
    passed = [probe for probe in PROBES if _passes(zygote, probe, texts, memory_bytes)]
    missing = [f"{layer}: {why}" for layer, why in zygote.report.items() if why]
    missing += [f"a worker could {_NAMES[probe]}" for probe in passed]
    layers = tuple(layer for layer, why in zygote.report.items() if not why)
    seccomp = "seccomp" in layers and not passed
    landlock = "landlock" in layers and "open" not in passed
    root = bool(zygote.report.get("user"))
    if seccomp and "privileges" in layers:
        level = 3 if landlock and not root else 2
    else:
        level = 1 if landlock else 0
    return Isolation(level=level, layers=layers, missing=tuple(missing))


def require(isolation: Isolation, level: int) -> None:
    """Stop where there is less isolation than asked for.

    Raises:
        SandboxError: says what is missing and how to go on without it.
    """
    if isolation.level < level:
        raise SandboxError(
            f"the sandbox reaches isolation level {isolation.level} on this machine, and level {level} is required. "
            f"Missing: {'; '.join(isolation.missing)}. Use a kernel or container that offers it, or accept less: "
            f"`sandbox.required_level: {isolation.level}` in the task file (below 2 with "
            f"`programs_may_harm_this_machine: true`), Limits(required_level={isolation.level}) in Python. Programs "
            "could then do what these layers forbid"
        )


def _passes(zygote: Zygote, probe: str, texts: Texts, memory_bytes: int) -> bool:
    for _ in range(_MAX_TRIES):
        number, code = _answer(zygote, probe, texts, memory_bytes)
        if number is not None or code == -signal.SIGSYS:
            return number == 1
        if code is None:
            raise ZygoteGone
        if code != -signal.SIGKILL:
            break
    raise SandboxError(f"the sandbox's self-test got no answer to {probe!r}: its worker ended with {code}")


def _answer(zygote: Zygote, probe: str, texts: Texts, memory_bytes: int) -> tuple[int | None, int | None]:
    """Have one worker try; returns its answer, if there was one, and how it ended."""
    results = Results(1, 0)
    try:
        worker = Worker(zygote, texts=texts, results=results, seed=0, memory_bytes=memory_bytes)
        number: int | None = None
        try:
            worker.command(wire.PROBE, PROBES.index(probe))
            waiting = select.poll()
            waiting.register(worker.replies, select.POLLIN)
            if waiting.poll(_ANSWER_MS):
                number, _ = worker.reply()
        except WorkerGone:
            pass
        finally:
            code = worker.end()
    finally:
        results.close()
    return number, code
