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


@dataclass(slots=True, kw_only=True)
class Record:
    """What is known of one program besides its votes.

    Attributes:
        message: of its first fault.
        quarantined: why it is not run any more.
        load_error: why it was never run.
        loaded: whether it ever was.
        judged: whether its first rows have been looked at.
        kills: rows that had to be killed.
        cpu_s: CPU seconds over all rows.
        batch_s: seconds that it ran or was blocked in the present batch, those of loading it again for it included.
    """

    message: str | None = None
    quarantined: str | None = None
    load_error: str | None = None
    loaded: bool = False
    judged: bool = False
    kills: int = 0
    cpu_s: float = 0.0
    batch_s: float = 0.0
