"""What a job remembers: the commands that are still to come, and what is known of each program."""

from __future__ import annotations

from dataclasses import dataclass


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
