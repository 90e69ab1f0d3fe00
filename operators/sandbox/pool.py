"""The sandbox as its users see it: programs and rows in, votes and faults out."""

from __future__ import annotations

import logging
import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import pyarrow as pa

from operators.errors import SandboxError
from operators.sandbox.job import Job
from operators.sandbox.limits import Limits
from operators.sandbox.memory import Results, Texts, pack
from operators.sandbox.process import Worker, Zygote, ZygoteGone
from operators.sandbox.record import Place, Record
from operators.sandbox.selftest import Isolation, examine, require
from operators.schema import ABSTAIN, MAX_CLASSES, Faults, Votes

__all__ = ["Limits", "Outcome", "Sandbox"]

_LOOK_S = 0.05
_MAX_RESTARTS = 8  # of the zygote in a call; a machine that kills it more often has another trouble
_MAX_STARTS = 3  # of a zygote that is killed while it starts
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What m programs made of n rows.

    Attributes:
        votes: (n, m) int8.
        faults: (n, m) uint8.
        messages: of each program's first fault, escaped, 200 characters at most.
        quarantined: why a program was not run to the end.
        load_errors: why a program was not run at all; such a program is quarantined too.
        cpu_s: CPU seconds of each program over all rows, measured from outside.
    """

    votes: Votes
    faults: Faults
    messages: tuple[str | None, ...]
    quarantined: tuple[str | None, ...]
    load_errors: tuple[str | None, ...]
    cpu_s: tuple[float, ...]


class Sandbox:
    r"""Runs a fixed set of programs, in processes that the kernel locks in.

    Args:
        sources: of the programs, each of which defines `label_function`.
        num_classes: k; votes outside -1..k-1 are bad labels.
        limits: for each program.

    Attributes:
        level: of isolation, 0..3.
        layers: of isolation that hold.
        missing: what does not hold, a sentence each.

    Raises:
        SandboxError: the machine offers less isolation than the limits require, or no process starts.

    Example:
        >>> source = "def label_function(text):\n    return 1 if 'free' in text else -1\n"
        >>> with Sandbox([source], num_classes=2, limits=Limits(required_level=0)) as sandbox:
        ...     sandbox.run(["free money", None, "hello"], seed=0).votes.tolist()
        [[1], [-1], [-1]]
    """

    def __init__(self, sources: Sequence[str], *, num_classes: int, limits: Limits) -> None:
        if not 2 <= num_classes <= MAX_CLASSES:
            raise ValueError(f"num_classes must be 2..{MAX_CLASSES}, got {num_classes}")
        if sys.platform != "linux":
            raise SandboxError(f"the sandbox needs Linux, this is {sys.platform}; use a container or a virtual machine")
        self._sources = tuple(sources)
        self._num_classes = num_classes
        self._limits = limits
        self._restarts = 0
        self._zygote, isolation = self._started()
        self.level = isolation.level
        self.layers = isolation.layers
        self.missing = isolation.missing
        if isolation.level < 3:
            _log.warning("sandbox at isolation level %d: %s", isolation.level, "; ".join(isolation.missing))

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes."""
        self._zygote.close()

    def run(self, texts: Sequence[str | None] | pa.Array, *, seed: int) -> Outcome:
        """Apply every program to every row.

        Each program starts anew, in a fresh process, so that nothing it keeps reaches the next call. Without rows
        the programs are loaded all the same.

        Args:
            texts: (n,) rows; a null row is never shown to a program, which abstains on it.
            seed: of `random` in the programs.

        Raises:
            ValueError: the array is not of strings.
            SandboxError: the sandbox itself failed; a failing program is a fault.
        """
        packed = pack(texts)
        self._restarts = 0
        try:
            records, votes, faults = self._run(packed, seed)
        finally:
            os.close(packed.descriptor)
        return Outcome(
            votes=votes,
            faults=faults,
            messages=tuple(record.message for record in records),
            quarantined=tuple(record.quarantined for record in records),
            load_errors=tuple(record.load_error for record in records),
            cpu_s=tuple(record.cpu_s for record in records),
        )

    def _run(self, texts: Texts, seed: int) -> tuple[list[Record], Votes, Faults]:
        size = self._limits.group_size
        waiting = deque((first, self._sources[first : first + size]) for first in range(0, len(self._sources), size))
        votes = np.full((texts.total, len(self._sources)), ABSTAIN, np.int8)
        faults = np.zeros((texts.total, len(self._sources)), np.uint8)
        records: list[Record | None] = [None] * len(self._sources)
        active: list[tuple[int, Job]] = []

        def make_worker(results: Results) -> Worker:
            return self._worker(texts, results, seed)

        def make_job(sources: tuple[str, ...], killed_at: frozenset[Place] = frozenset()) -> Job:
            return Job(
                sources,
                texts=texts,
                num_classes=self._num_classes,
                limits=self._limits,
                make_worker=make_worker,
                killed_at=killed_at,
            )

        look_at = time.monotonic() + _LOOK_S
        try:
            while waiting or active:
                while waiting and len(active) < self._limits.inflight:
                    first, sources = waiting.popleft()
                    active.append((first, make_job(sources)))
                _wait([job for _, job in active], until=look_at)
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + _LOOK_S
                    for _, job in active:
                        if job.replies is not None:
                            job.look()
                for first, job in [entry for entry in active if entry[1].replies is None]:
                    active.remove((first, job))
                    if job.disturbed:
                        _log.warning("a program's worker was killed from outside; its programs begin anew")
                        active.append((first, make_job(job.sources, job.killed_at)))
                        continue
                    for place, record in enumerate(job.records):
                        records[first + place] = record
                        cell = (slice(None) if texts.rows == texts.total else texts.kept, first + place)
                        votes[cell], faults[cell] = job.outcome(place)
        finally:
            for _, job in active:
                job.close()
        return [record for record in records if record is not None], votes, faults

    def _worker(self, texts: Texts, results: Results, seed: int) -> Worker:
        while True:
            try:
                return Worker(
                    self._zygote, texts=texts, results=results, seed=seed, memory_bytes=self._limits.memory_bytes
                )
            except ZygoteGone:
                self._restarts += 1
                if self._restarts > _MAX_RESTARTS:
                    raise SandboxError(
                        f"the sandbox's process ended {self._restarts} times in one call; is the machine out of memory?"
                    ) from None
                _log.warning("the sandbox's process ended and is started again")
                self._zygote.close()
                self._zygote, _ = self._started()

    def _started(self) -> tuple[Zygote, Isolation]:
        """Start a zygote and look at what it isolates; somebody may kill it meanwhile, though hardly each time."""
        for _ in range(_MAX_STARTS):
            try:
                return self._examined()
            except ZygoteGone:
                _log.warning("the sandbox's process ended while it started, and is started again")
        raise SandboxError(
            f"the sandbox's process ended {_MAX_STARTS} times while it started; is the machine out of memory?"
        )

    def _examined(self) -> tuple[Zygote, Isolation]:
        zygote = Zygote(self._limits.options())
        nothing = pack([])
        try:
            isolation = examine(zygote, nothing, memory_bytes=self._limits.memory_bytes)
            require(isolation, self._limits.required_level)
        except (ZygoteGone, SandboxError):
            zygote.close()
            raise
        finally:
            os.close(nothing.descriptor)
        return zygote, isolation


def _wait(jobs: list[Job], *, until: float) -> None:
    """Wait for answers and for room in pipes, and have the jobs go on."""
    poll = select.poll()
    found: dict[int, Callable[[], None]] = {}
    for job in jobs:
        if job.unsent is not None:
            found[job.unsent] = job.send
            poll.register(job.unsent, select.POLLOUT)
        if job.replies is not None:
            found[job.replies] = job.answered
            poll.register(job.replies, select.POLLIN)
    for descriptor, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000):
        found[descriptor]()
