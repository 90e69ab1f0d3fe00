"""Progress tells rows a second and the time left, on a terminal and in a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from engine.cli.progress import Bars, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def bars(clock: Clock, *, terminal: bool, enabled: bool = True) -> tuple[Bars, io.StringIO, io.StringIO]:
    screen, lines = io.StringIO(), io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=160)
    return Bars(enabled=enabled, console=console, lines=lines, now=clock), screen, lines


def test_time_left_goes_by_rows_where_they_are_known():
    """A step of many rows counts for more than one of few; without rows, steps count alike."""
    pace = Pace(total=4, rows=1000, since=0.0)
    assert pace.left_s(5.0) is None
    pace.advance(rows=800, num_bytes=2_000_000)
    assert pace.left_s(8.0) == pytest.approx(2.0)
    assert pace.said(8.0) == "100 rows/s, 0.2 MB/s, 0:02 left"
    plain = Pace(total=4, rows=None, since=0.0)
    plain.advance(rows=0, num_bytes=0)
    assert plain.said(10.0) == "0:30 left"


def test_a_log_gets_a_line_every_half_minute():
    """However many steps there are; the end of a stage is told at once, with its reason."""
    clock = Clock()
    watch, _, lines = bars(clock, terminal=False)
    watch.begin("apply", 100, rows=10_000)
    for _ in range(70):
        clock.now += 1.0
        watch.advance("apply", rows=100, num_bytes=1000)
    assert lines.getvalue().splitlines() == [
        "apply: 30 of 100, 100 rows/s, 0.0 MB/s, 1:10 left",
        "apply: 60 of 100, 100 rows/s, 0.0 MB/s, 0:40 left",
    ]
    watch.end("apply", "computed", 70.0, 7000, reason="computed 1 of 3 programs")
    watch.end("fit", "reused", 1.0, None)
    assert lines.getvalue().splitlines()[2:] == [
        "apply: 70.0 s, 100 rows/s; computed 1 of 3 programs",
        "fit: reused",
    ]


def test_a_terminal_shows_pace_and_reason():
    """The bar carries the rate and the time left, and at the end the reason as it is written."""
    clock = Clock()
    watch, screen, lines = bars(clock, terminal=True)
    watch.begin("label", 2, rows=200)
    clock.now += 10
    watch.advance("label", rows=100, num_bytes=0)
    watch.close()
    assert "10 rows/s, 0:10 left" in screen.getvalue()
    watch.end("label", "computed", 20.0, 200, reason="[b.csv] changed")
    assert watch._bars is not None
    assert watch._bars.tasks[0].fields["note"] == "20.0 s, 10 rows/s; [b.csv] changed"
    assert lines.getvalue() == ""


def test_beside_machine_readable_output_nothing_is_shown():
    """Neither bars nor lines."""
    clock = Clock()
    watch, screen, lines = bars(clock, terminal=True, enabled=False)
    watch.begin("label", 2)
    clock.now += 100
    watch.advance("label")
    watch.end("label", "computed", 1.0, 2)
    watch.close()
    assert (screen.getvalue(), lines.getvalue()) == ("", "")
