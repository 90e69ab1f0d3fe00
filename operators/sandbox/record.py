"""What a job remembers: the commands that are still to come, and what is known of each program."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from operators.sandbox import wire
from operators.sandbox.limits import Limits
from operators.schema import Fault

Place: TypeAlias = tuple[int, int, int]
"""Where a worker was: program in the group, kind of command, row."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command to come: load a program, or run it on rows [start, stop).

    Attributes:
        kind: `wire.LOAD` or `wire.RUN`.
        program: in the group.
        start: first row.
        stop: row after the last.
        first: row at which the batch began, of which this may be what is left.
    """

    kind: int
    program: int
    start: int = 0
    stop: int = 0
    first: int = 0

    @property
    def rows(self) -> int:
        """Number of rows of the whole batch."""
        return self.stop - self.first


def planned(programs: int, batches: Sequence[tuple[int, int]]) -> deque[Step]:
    """Plan to load every program of a group, then to run each on one batch after another."""
    steps = deque(Step(wire.LOAD, program) for program in range(programs))
    steps.extend(Step(wire.RUN, program, *batch, batch[0]) for batch in batches for program in range(programs))
    return steps


@dataclass(slots=True, kw_only=True)
class Record:
    """What is known of one program besides its votes.

    Attributes:
        message: of its first fault.
        quarantined: why it is not run any more.
        load_error: why it was never run.
        loaded: whether it ever was.
        judged: whether its first rows have been looked at.
        timeouts: rows that ran out of time, by the worker's own account.
        kills: rows that had to be killed.
        cpu_s: CPU seconds over all rows.
        batch_cpu_s: CPU seconds in the present batch, those of loading it again for what is left of it included.
        batch_blocked_s: seconds that it was blocked, likewise.
    """

    message: str | None = None
    quarantined: str | None = None
    load_error: str | None = None
    loaded: bool = False
    judged: bool = False
    timeouts: int = 0
    kills: int = 0
    cpu_s: float = 0.0
    batch_cpu_s: float = 0.0
    batch_blocked_s: float = 0.0

    def begin_batch(self) -> None:
        """Count the batch's time from here on."""
        self.batch_cpu_s = self.batch_blocked_s = 0.0

    def add(self, cpu_s: float, blocked_s: float) -> None:
        """Add time spent on the program."""
        self.batch_cpu_s += cpu_s
        self.batch_blocked_s += blocked_s

    def too_long(self, most_s: float, *, rows: int) -> str | None:
        """Say what was too much, if the present batch of so many rows took longer than it may."""
        if self.batch_cpu_s > most_s:
            return f"it used {self.batch_cpu_s:.3g} s of CPU time on a batch of {rows} rows"
        if self.batch_blocked_s > most_s:
            return f"it was blocked for {self.batch_blocked_s:.3g} s on a batch of {rows} rows"
        return None

    def verdict(self, limits: Limits, reached: int, too_long: str | None, sample: npt.NDArray[np.uint8]) -> str | None:
        """Say why the program, having run up to a row, must not go on; None when it may.

        Args:
            limits: for the program.
            reached: row after the last one run.
            too_long: what `too_long` said of the batch.
            sample: (limits.sample_rows,) faults of the first rows.
        """
        if self.timeouts >= limits.max_timeouts:
            return f"{self.timeouts} rows ran out of time ({limits.row_timeout_s:g} s each)"
        if too_long:
            return too_long
        if reached < limits.sample_rows or self.judged:
            return None
        self.judged = True
        fraction = float(np.isin(sample, (Fault.EXCEPTION, Fault.MEMORY, Fault.BAD_LABEL)).mean())
        if fraction > limits.max_error_fraction:
            return f"{fraction:.0%} of its first {limits.sample_rows} rows failed"
        return None
