"""Progress bars on the terminal, one a stage; plain lines where standard error is no terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from engine.store import StageStatus


class Bars:
    """Watches a run and draws a bar for each stage on standard error."""

    def __init__(self, *, enabled: bool) -> None:
        console = Console(stderr=True)
        self._enabled = enabled
        self._bars: Progress | None = None
        if enabled and console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description:12s}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}"),
                console=console,
            )
            self._bars.start()
        self._ids: dict[str, TaskID] = {}

    def begin(self, stage: str, total: int) -> None:
        """Start the bar of a stage, or start it over."""
        if self._bars is None:
            return
        if stage in self._ids:
            self._bars.reset(self._ids[stage], total=total)
        else:
            self._ids[stage] = self._bars.add_task(stage, total=total, note="")

    def advance(self, stage: str) -> None:
        """Move the bar by one."""
        if self._bars is not None:
            self._bars.advance(self._ids[stage])

    def end(self, stage: str, status: StageStatus, seconds: float, rows: int | None) -> None:
        """Say what became of a stage."""
        rate = f", {rows / seconds:,.0f} rows/s" if rows and seconds > 0 else ""
        note = "reused" if status == "reused" else f"{seconds:.1f} s{rate}"
        if self._bars is not None:
            if stage not in self._ids:
                self._ids[stage] = self._bars.add_task(stage, total=1, note="")
            bar = self._ids[stage]
            total = self._bars.tasks[self._bars.task_ids.index(bar)].total
            self._bars.update(bar, completed=total or 1, total=total or 1, note=note)
        elif self._enabled:
            sys.stderr.write(f"{stage}: {note}\n")

    def close(self) -> None:
        """Leave the bars as they are."""
        if self._bars is not None:
            self._bars.stop()
