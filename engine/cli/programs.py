"""`alchemist programs`: list, show, diff, edit, disable, enable and add the programs of a run.

Thin: what is done stands in engine/stages/, how it looks in program_views.py, the editor in editor.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from engine.stages.program_edits import Change

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, or the task file of a run.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run directory of a task file; runs/<task name> else.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of a program: its file name without `.py`.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Of programs: file names without `.py`.")]

_SAYS = {
    "edited": "edited; the version before is {kept}. The next run computes its votes, and no others",
    "noted": "has another header; its votes stay as they are",
    "added": "added; the next run tries it and lets it vote",
    "disabled": "disabled; the file and its votes stay, and the next run does without them",
    "enabled": "enabled; votes that it has are used again",
    "unchanged": "is as it was",
}


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Read and change the programs of a run.", no_args_is_help=True)
    group.command(name="list")(list_programs)
    for command in (show, diff, edit, disable, enable, add):
        group.command()(command)
    app.add_typer(group, name="programs")


def list_programs(run: Run, out: Out = None, as_json: AsJson = False) -> int:
    """List the programs: state, where each comes from, and what the last run found of it."""
    from engine.stages.library import open_library
    from engine.stages.program_list import entries

    library = open_library(run, out=out)
    found = entries(library)
    if as_json:
        return print_json(
            {"run": str(library.run), "folder": str(library.folder), "programs": [entry.to_json() for entry in found]}
        )
    from engine.cli.program_views import print_list

    print_list(library, found)
    return 0


def show(
    run: Run,
    name: Name,
    rows: Annotated[int, typer.Option(min=0, help="Show so many rows a class that it votes for; plans the data.")] = 0,
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Show a program: its figures, its header and its source."""
    from engine.stages.library import open_library
    from engine.stages.program_list import entry_of, text_of
    from engine.stages.program_rows import voted_rows

    library = open_library(run, out=out)
    entry = entry_of(library, name)
    text = text_of(entry)
    examples = voted_rows(library, entry, count=rows) if rows else {}
    if as_json:
        plain = {vote: [row.to_json() for row in found] for vote, found in examples.items()}
        return print_json({**entry.to_json(), "text": text, "rows": plain})
    from engine.cli.program_views import print_program

    print_program(entry, text, examples)
    return 0


def diff(
    run: Run,
    name: Name,
    other: Annotated[
        str | None,
        typer.Argument(metavar="OTHER", help="Another program, or the first digits of a version; else the last one."),
    ] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Compare a program with its version before, or with another program: lines and votes."""
    from engine.stages.library import open_library
    from engine.stages.program_diff import difference

    found = difference(open_library(run, out=out), name, other)
    if as_json:
        return print_json(found.to_json())
    from engine.cli.program_views import print_difference

    print_difference(found)
    return 0


def edit(
    run: Run,
    name: Name,
    source: Annotated[
        Path | None, typer.Option("--from", help="Take the new text from this file (`-` reads standard input).")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who edits it, for the header; the user's name else.")] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Edit a program in $VISUAL or $EDITOR; it is checked before it takes the place of the old one."""
    from engine.cli.editor import edited, read_text, user_name
    from engine.stages.library import open_library
    from engine.stages.program_edits import check_free
    from engine.stages.program_edits import edit as change

    library = open_library(run, out=out)
    who = by or user_name()
    if source is not None:
        return _tell([change(library, name, read_text(source), when=date.today(), by=who)], as_json)
    before = library.now(name)
    check_free(library)
    done = edited(before, save=lambda text: change(library, name, text, when=date.today(), by=who, base=before))
    return _tell([done], as_json)


def disable(
    run: Run,
    names: Names,
    reason: Annotated[str, typer.Option(help="Why, for the header and the report.")] = "by hand",
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Keep programs from voting; file and votes stay, so that enabling costs nothing."""
    from engine.stages.library import open_library
    from engine.stages.program_edits import disable as change

    return _tell(change(open_library(run, out=out), names, reason=reason), as_json)


def enable(run: Run, names: Names, out: Out = None, as_json: AsJson = False) -> int:
    """Let disabled programs vote again."""
    from engine.stages.library import open_library
    from engine.stages.program_edits import enable as change

    return _tell(change(open_library(run, out=out), names), as_json)


def add(
    run: Run,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Programs of your own, `*.py`.")],
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Copy programs of your own in, all or none; each is checked first."""
    from engine.stages.library import open_library
    from engine.stages.program_edits import add as change

    return _tell(change(open_library(run, out=out), files, when=date.today()), as_json)


def _tell(changes: Sequence[Change], as_json: bool) -> int:
    if as_json:
        return print_json({"changes": [change.to_json() for change in changes]})
    for change in changes:
        sys.stdout.write(f"{change.name} {_SAYS[change.action].format(kept=change.kept)} ({change.file})\n")
    return 0
