"""The command line: what a user types, and how a run shows itself. The work is in `engine.pipeline`.

Nothing heavy is imported here, so that `alchemist --help` answers at once.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from cluster.errors import ClusterError

from engine.errors import ConfigError, EngineError
from operators.errors import InputError, OperatorError

if TYPE_CHECKING:
    from engine.pipeline import RunResult
    from engine.task import LabelingTask

app = typer.Typer(
    name="alchemist",
    help="Label a corpus with programs that a language model writes, without gold labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

INTERRUPTED = 130

Task = Annotated[Path, typer.Argument(metavar="TASK", help="The task file, task.yaml.")]
Data = Annotated[list[str] | None, typer.Option("--data", help="Take the corpus from here; may be given twice.")]
Programs = Annotated[Path | None, typer.Option("--programs", help="Take the programs from this folder.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run directory; runs/<task name> unless told.")]
Address = Annotated[str | None, typer.Option("--address", help="A Ray cluster; this machine unless told.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on standard output.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Log more; twice for everything.")]


def main() -> None:
    """Run the command line; errors that a user can mend come without a traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = app(standalone_mode=False)
    except (EngineError, OperatorError, ClusterError) as error:
        code = _say(str(error), _exit_code(error))
    except KeyboardInterrupt:
        code = _say("interrupted; the same command goes on from here", INTERRUPTED)
    except typer.Abort:
        code = _say("aborted", INTERRUPTED)
    except Exception as error:
        # typer's own usage errors carry how to show themselves; anything else is a fault of ours.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        code = getattr(error, "exit_code", 2)
    sys.exit(code)


@app.command()
def run(
    task: Task,
    data: Data = None,
    programs: Programs = None,
    out: Out = None,
    address: Address = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Do every stage that is not done yet, in order."""
    return _run(task, data, programs, out, address, as_json, verbose, until="report")


def _stage_command(name: str, until: str, text: str) -> None:
    def command(
        task: Task,
        data: Data = None,
        programs: Programs = None,
        out: Out = None,
        address: Address = None,
        as_json: AsJson = False,
        verbose: Verbose = 0,
    ) -> int:
        return _run(task, data, programs, out, address, as_json, verbose, until=until)

    command.__doc__ = text
    app.command(name=name)(command)


for _name, _until, _text in (
    (
        "synthesize",
        "synthesis",
        "Have the language model write the programs; what is answered is never asked again.",
    ),
    ("apply", "apply", "Let the programs vote on every row, in the sandbox, after what that needs."),
    ("fit", "fit", "Fit the label model to the moments of the votes, after what that needs."),
    ("label", "label", "Write the soft labels, after what that needs."),
    ("distill", "predict", "Train the small model on the soft labels and apply it, after what that needs."),
    ("evaluate", "evaluate", "Compare with gold labels where the task names them, after what that needs."),
    ("report", "report", "Write report.html and report.json, after what that needs."),
):
    _stage_command(_name, _until, _text)


@app.command()
def plan(task: Task, data: Data = None, as_json: AsJson = False, verbose: Verbose = 0) -> int:
    """Say what a run would take: rows, shards, requests, tokens and price. Nothing is run and nothing is sent."""
    _log(verbose)
    from engine.pipeline import make_plan

    planned = make_plan(_task(task, data, None))
    if as_json:
        return _print_json(planned)
    for key, value in planned.items():
        sys.stdout.write(f"{key:28s} {'unknown' if value is None else value}\n")
    return 0


@app.command()
def init(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A Parquet, CSV, TSV or JSON lines file.")],
    out: Annotated[Path, typer.Option("--out", help="Where the task file goes.")] = Path("task.yaml"),
    name: Annotated[str | None, typer.Option(help="Name of the task.")] = None,
    text: Annotated[str | None, typer.Option(help="The column with the text.")] = None,
    gold: Annotated[str | None, typer.Option(help="The column with gold labels, for evaluation alone.")] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="The column with the ids.")] = None,
    group: Annotated[str | None, typer.Option(help="The column with groups, for evaluation alone.")] = None,
    split: Annotated[str | None, typer.Option(help="The column that tells train from test.")] = None,
    label_class: Annotated[
        list[str] | None, typer.Option("--class", help="Name of a class; give it once a class, in order.")
    ] = None,
    instruction: Annotated[str | None, typer.Option(help="What to label, in a sentence.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the task file.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take the guesses and ask nothing.")] = False,
) -> int:
    """Write a commented task file for a data file, asking for what the flags leave open."""
    from engine.init import suggest, write_task

    guess = suggest(data)
    ask = not yes and sys.stdin.isatty()
    if ask:
        text = text or typer.prompt("Column with the text", default=guess.text)
        gold = gold or typer.prompt("Column with gold labels (for evaluation alone)", default=guess.gold or "") or None
        instruction = instruction or typer.prompt("What is to be labeled, in a sentence")
        if not label_class:
            known = ", ".join(guess.classes or ())
            answer = typer.prompt("Classes, separated by commas", default=known or None)
            label_class = [c.strip() for c in answer.split(",") if c.strip()]
    path = write_task(
        data,
        out=out,
        name=name,
        text=text,
        gold=gold,
        id=id_column,
        group=group,
        split=split,
        classes=label_class or None,
        instruction=instruction,
        force=force,
    )
    sys.stdout.write(f"{path}: edit the instruction and the classes, then: alchemist run {path}\n")
    return 0


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of a distilled model.")],
    data: Annotated[list[str], typer.Argument(metavar="DATA", help="Files, folders or globs.")],
    out: Annotated[Path, typer.Option("--out", help="The folder for the predictions.")],
    text: Annotated[str, typer.Option(help="The column with the text.")] = "text",
    id_column: Annotated[str | None, typer.Option("--id", help="The column with the ids.")] = None,
    address: Address = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Apply a distilled model to a corpus: id, probabilities and label, one Parquet file a shard."""
    _log(verbose)
    from engine.pipeline import predict_corpus

    done = predict_corpus(model, data, out=out, text=text, id_column=id_column, address=address, watch=_watch(as_json))
    if as_json:
        return _print_json(done)
    sys.stdout.write(f"{done['rows']} rows labeled, {done['reused']} shards were there already: {out}\n")
    return 0


@app.command()
def doctor(as_json: AsJson = False) -> int:
    """Say what this machine offers: isolation of the sandbox, cores, versions."""
    from engine.pipeline import diagnose

    found = diagnose()
    if as_json:
        return _print_json(found)
    for key, value in found.items():
        sys.stdout.write(f"{key:20s} {value}\n")
    return 0


def _run(
    path: Path,
    data: list[str] | None,
    programs: Path | None,
    out: Path | None,
    address: str | None,
    as_json: bool,
    verbose: int,
    *,
    until: str,
) -> int:
    _log(verbose)
    task = _task(path, data, programs)
    from engine import pipeline

    watch = _watch(as_json)
    try:
        result = pipeline.run(task, out=out or Path("runs") / task.name, address=address, until=until, watch=watch)
    finally:
        watch.close()
    if as_json:
        _print_json(result.to_json())
    else:
        _show(result)
    return result.exit_code


def _task(path: Path, data: list[str] | None, programs: Path | None) -> LabelingTask:
    from engine.task import read_task, with_overrides

    return with_overrides(read_task(path), data=data, programs=programs)


def _show(result: RunResult) -> None:
    from rich.console import Console

    console = Console()
    if all(status == "reused" for status in result.statuses.values()):
        console.print("Nothing has changed since the last run, so nothing was computed.")
    if result.report is not None:
        from engine.reporting.table import summary

        console.print(summary(result.report))
        console.print(f"Report: {result.run / 'report.html'}", soft_wrap=True)
    else:
        console.print(f"Run directory: {result.run}", soft_wrap=True)


def _watch(as_json: bool) -> Any:
    from engine.progress import Bars

    return Bars(enabled=not as_json)


def _print_json(content: Any) -> int:
    sys.stdout.write(json.dumps(content, indent=2, allow_nan=False) + "\n")
    return 0


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"alchemist: {message}\n")
    return code


def _exit_code(error: Exception) -> int:
    if isinstance(error, EngineError):
        return error.exit_code
    return ConfigError.exit_code if isinstance(error, InputError) else EngineError.exit_code


def _log(verbose: int) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for package in ("engine", "operators", "cluster"):
        logging.getLogger(package).setLevel(level)


def _terminate(number: int, frame: object) -> None:
    raise KeyboardInterrupt
