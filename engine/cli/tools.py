"""The commands around a run: before it (`init`, `plan`, `doctor`) and after it (`predict`, `onnx`)."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import (
    Address,
    AsJson,
    Data,
    Out,
    Storage,
    Task,
    Verbose,
    print_json,
    set_up_logs,
    task_of,
    watching,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (init, plan, predict, onnx, doctor):
        app.command()(command)


def init(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A table (Parquet, CSV, TSV, JSON lines) or a folder of images.")
    ],
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
    as_json: AsJson = False,
) -> int:
    """Write a commented task file for a data file, asking for what the flags leave open."""
    from engine.init import suggest, write_task

    guess = suggest(data)
    ask = not yes and not as_json and sys.stdin.isatty()
    if ask:
        if guess.modality == "text":
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
    if as_json:
        return print_json({"task": str(path)})
    sys.stdout.write(f"{path}: edit the instruction and the classes, then: alchemist run {path}\n")
    return 0


def plan(task: Task, data: Data = None, out: Out = None, as_json: AsJson = False, verbose: Verbose = 0) -> int:
    """Say what a run would take: rows, shards, CPU time, requests, tokens and price. Nothing is run or sent."""
    set_up_logs(verbose)
    from engine.plan import make_plan

    what = task_of(task, data, None)
    planned = make_plan(what, out=out or Path("runs") / what.name)
    if as_json:
        return print_json(planned)
    for key, value in planned.items():
        sys.stdout.write(f"{key:28s} {'unknown' if value is None else value}\n")
    return 0


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of a distilled model.")],
    data: Annotated[list[str], typer.Argument(metavar="DATA", help="Files, folders or globs.")],
    out: Annotated[Path, typer.Option("--out", help="The folder for the predictions.")],
    text: Annotated[str | None, typer.Option(help="The column with the text; text unless given.")] = None,
    image: Annotated[
        str | None, typer.Option(help="The column with images or their paths; DATA are image files unless given.")
    ] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="The column with the ids.")] = None,
    address: Address = None,
    storage: Storage = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Apply a distilled model to a corpus: id, probabilities and label, one Parquet file a shard."""
    set_up_logs(verbose)
    from engine.pipeline import predict_corpus

    watch = watching(as_json)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            done = predict_corpus(
                model,
                data,
                out=out,
                text=text,
                image=image,
                id_column=id_column,
                address=address,
                storage=storage,
                watch=watch,
            )
    finally:
        watch.close()
    if as_json:
        return print_json(done)
    unread = f", {done['unreadable']} of them unreadable and without a label" if done.get("unreadable") else ""
    sys.stdout.write(
        f"{done['rows']} rows labeled{unread}, {done['reused']} shards were there already: {done['out']}\n"
    )
    return 0


def onnx(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of a distilled model.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("model.onnx"),
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> int:
    """Write a distilled model as an ONNX graph, checked against its own predictions; needs the extra `onnx`."""
    set_up_logs(verbose)
    from engine.distillation.end_model import EndModel

    EndModel.load(model).to_onnx(out)
    if as_json:
        return print_json({"out": str(out)})
    sys.stdout.write(f"{out}: docs/distillation.md says what goes in and what comes out\n")
    return 0


def doctor(as_json: AsJson = False) -> int:
    """Say what this machine offers: isolation of the sandbox, cores, versions."""
    from engine.doctor import diagnose

    found = diagnose()
    if as_json:
        return print_json(found)
    for key, value in found.items():
        sys.stdout.write(f"{key:20s} {value}\n")
    return 0
