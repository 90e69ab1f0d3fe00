"""Options that several commands share, and what each of them is turned into."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.progress import Bars

if TYPE_CHECKING:
    from engine.task import LabelingTask

Task = Annotated[Path, typer.Argument(metavar="TASK", help="The task file, task.yaml.")]
Data = Annotated[list[str] | None, typer.Option("--data", help="Take the corpus from here; may be given twice.")]
Programs = Annotated[Path | None, typer.Option("--programs", help="Take the programs from this folder.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run directory; runs/<task name> unless told.")]
Address = Annotated[str | None, typer.Option("--address", help="A Ray cluster; this machine unless told.")]
Storage = Annotated[
    str | None,
    typer.Option("--storage", help="Where shard files go: a path or a URL (s3://...); the run directory unless told."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on standard output.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Log more; twice for everything.")]


def task_of(path: Path, data: Sequence[str] | None, programs: Path | None) -> LabelingTask:
    """Read the task file and put the options in their places."""
    from engine.task_file import read_task, with_overrides

    return with_overrides(read_task(path), data=data, programs=programs)


def watching(as_json: bool) -> Bars:
    """Return what shows progress; nothing is shown beside machine-readable output."""
    return Bars(enabled=not as_json)


def print_json(content: Any) -> int:
    """Write JSON to standard output; returns the exit code 0."""
    sys.stdout.write(json.dumps(content, indent=2, allow_nan=False) + "\n")
    return 0


def set_up_logs(verbose: int) -> None:
    """Send warnings of all packages, and more of ours, to standard error."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for package in ("engine", "operators", "cluster"):
        logging.getLogger(package).setLevel(level)
