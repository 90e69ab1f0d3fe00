"""How far a run is: a bar a stage on the terminal, and a plain line now and then where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from engine.store import StageStatus

_EVERY_S = 30.0
"""Between plain lines: a log of a night's run stays readable."""


@dataclass(slots=True, kw_only=True)
class Pace:
    """How fast the present sitting of a stage goes; results of earlier sittings are not in it.

    Attributes:
        total: steps to do.
        rows: in them, None where that is not known.
        since: the clock at the start.
        done: steps done.
        rows_done: rows of these.
        bytes_done: bytes of these.
    """

    total: int
    rows: int | None
    since: float
    done: int = 0
    rows_done: int = 0
    bytes_done: int = 0

    def advance(self, *, rows: int, num_bytes: int) -> None:
        """One more step is done."""
        self.done += 1
        self.rows_done += rows
        self.bytes_done += num_bytes

    def left_s(self, now: float) -> float | None:
        """Seconds that are left at this pace; by rows where they are known, as steps may differ; None before the first.

        The start of the workers is in the pace, so the first steps promise too much rather than too little time.
        """
        done, total = (self.rows_done, self.rows) if self.rows else (self.done, self.total)
        if not done or now <= self.since:
            return None
        return max(0.0, (total - done) * (now - self.since) / done)

    def said(self, now: float) -> str:
        """Say it in a line, such as `3,000 rows/s, 1.2 MB/s, 2:05 left`."""
        seconds, left = now - self.since, self.left_s(now)
        if left is None:
            return ""
        parts = []
        if self.rows_done:
            parts.append(f"{self.rows_done / seconds:,.0f} rows/s")
        if self.bytes_done:
            parts.append(f"{self.bytes_done / seconds / 1e6:,.1f} MB/s")
        return ", ".join([*parts, f"{clock(left)} left"])


class Bars:
    """Watches a run and shows it on standard error."""

    def __init__(
        self,
        *,
        enabled: bool,
        console: Console | None = None,
        lines: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start to watch.

        Args:
            enabled: whether anything is shown.
            console: where bars go; standard error unless told.
            lines: where plain lines go if the console is no terminal; likewise.
            now: the clock, in seconds.
        """
        console = console or Console(stderr=True)
        self._enabled = enabled
        self._lines = lines or sys.stderr
        self._now = now
        self._bars: Progress | None = None
        if enabled and console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description:12s}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                # As it is: the reason for a stage holds names of files, which are no markup.
                TextColumn("{task.fields[note]}", markup=False),
                console=console,
            )
            self._bars.start()
        self._ids: dict[str, TaskID] = {}
        self._paces: dict[str, Pace] = {}
        self._told = now()

    def begin(self, stage: str, total: int, *, rows: int | None = None) -> None:
        """Start the bar of a stage, or start it over."""
        self._paces[stage] = Pace(total=total, rows=rows, since=self._now())
        self._told = self._now()
        if self._bars is None:
            return
        if stage in self._ids:
            self._bars.reset(self._ids[stage], total=total, note="")
        else:
            self._ids[stage] = self._bars.add_task(stage, total=total, note="")

    def advance(self, stage: str, *, rows: int = 0, num_bytes: int = 0) -> None:
        """Move the bar by one, and say how fast it goes and how long it still takes."""
        pace, now = self._paces[stage], self._now()
        pace.advance(rows=rows, num_bytes=num_bytes)
        if self._bars is not None:
            self._bars.update(self._ids[stage], advance=1, note=pace.said(now))
        elif self._enabled and now - self._told >= _EVERY_S:
            self._told = now
            self._lines.write(f"{stage}: {pace.done} of {pace.total}, {pace.said(now)}\n")
            self._lines.flush()

    def end(self, stage: str, status: StageStatus, seconds: float, rows: int | None, *, reason: str = "") -> None:
        """Say what became of a stage."""
        rate = f", {rows / seconds:,.0f} rows/s" if rows and seconds > 0 else ""
        note = "reused" if status == "reused" else f"{seconds:.1f} s{rate}" + (f"; {reason}" if reason else "")
        if self._bars is not None:
            if stage not in self._ids:
                self._ids[stage] = self._bars.add_task(stage, total=1, note="")
            bar = self._ids[stage]
            total = self._bars.tasks[self._bars.task_ids.index(bar)].total
            self._bars.update(bar, completed=total or 1, total=total or 1, note=note)
        elif self._enabled:
            self._lines.write(f"{stage}: {note}\n")

    def close(self) -> None:
        """Leave the bars as they are."""
        if self._bars is not None:
            self._bars.stop()


def clock(seconds: float) -> str:
    """Write a length of time.

    Example:
        >>> clock(5), clock(125), clock(7325)
        ('0:05', '2:05', '2:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
