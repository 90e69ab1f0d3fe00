"""`alchemist run`, and a command for each stage: the same run, up to there."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from engine.cli.options import (
    Address,
    AsJson,
    Data,
    Out,
    Programs,
    Storage,
    Task,
    Verbose,
    print_json,
    set_up_logs,
    task_of,
    watching,
)

if TYPE_CHECKING:
    from engine.pipeline import RunResult

COMMANDS = (
    ("run", "report", "Do every stage that is not done yet, in order."),
    ("synthesize", "synthesis", "Have the language model write the programs; no answer is paid for twice."),
    ("admit", "admission", "Try the programs on a sample of the corpus, after what that needs."),
    ("apply", "apply", "Let the programs vote on every row, in the sandbox, after what that needs."),
    ("fit", "fit", "Fit the label model to the moments of the votes, after what that needs."),
    ("label", "label", "Write the soft labels, after what that needs."),
    ("distill", "predict", "Train the small model on the soft labels and apply it, after what that needs."),
    ("evaluate", "evaluate", "Compare with gold labels where the task names them, after what that needs."),
    ("report", "report", "Write report.html and report.json, after what that needs."),
)
"""Name, last stage, help."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, until, text in COMMANDS:
        app.command(name=name, help=text)(_command(until))


def _command(until: str) -> Callable[..., int]:
    def command(
        task: Task,
        data: Data = None,
        programs: Programs = None,
        out: Out = None,
        address: Address = None,
        storage: Storage = None,
        as_json: AsJson = False,
        verbose: Verbose = 0,
    ) -> int:
        return _run(task, data, programs, out, address, storage, as_json, verbose, until=until)

    return command


def _run(
    path: Path,
    data: list[str] | None,
    programs: Path | None,
    out: Path | None,
    address: str | None,
    storage: str | None,
    as_json: bool,
    verbose: int,
    *,
    until: str,
) -> int:
    set_up_logs(verbose)
    task = task_of(path, data, programs)
    from engine import pipeline

    watch = watching(as_json)
    try:
        # Ray tells of workers that died on standard output, where machine-readable output goes.
        with contextlib.redirect_stdout(sys.stderr):
            result = pipeline.run(
                task,
                out=out or Path("runs") / task.name,
                address=address,
                storage=storage,
                until=until,
                watch=watch,
            )
    finally:
        watch.close()
    if as_json:
        print_json(result.to_json())
    else:
        _show(result)
    return result.exit_code


def _show(result: RunResult) -> None:
    from rich.console import Console

    console = Console()
    if all(status == "reused" for status in result.statuses.values()):
        console.print("Nothing has changed since the last run, so nothing was computed.")
    if result.report is not None:
        from engine.reporting.table import summary
        from engine.stages.context import FIRST_TIME

        told = {stage: "" if why.endswith(FIRST_TIME) else why for stage, why in result.reasons.items()}
        console.print(summary(result.report, reasons=told))
        console.print(f"Report: {result.run / 'report.html'}", soft_wrap=True)
    else:
        console.print(f"Run directory: {result.run}", soft_wrap=True)
