"""How programs look on a terminal: the table, one program with its figures, and a difference.

A language model wrote these files, so nothing in them may steer the terminal: what is not printable is shown escaped.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from engine.stages.library import Library
    from engine.stages.program_diff import Difference
    from engine.stages.program_list import Entry
    from engine.stages.program_rows import Row

_UNKNOWN = "–"
_NO_LIMIT = 10_000
_PIPE_WIDTH = 400
"""Where nobody's terminal says how wide a line may be, none is cut."""

_COLUMNS = (
    ("program", 0),
    ("state", 0),
    ("coverage", 1),
    ("est. accuracy", 2),
    ("faults", 3),
    ("µs/row", 4),
    ("model", 6),
    ("strategy", 8),
    ("tokens", 7),
    ("price", 5),
)
"""Title, and how soon it gives way on a narrow terminal: the largest number first; 0 never."""

_STYLES = {"used": "green", "new": "cyan", "disabled": "dim", "rejected": "yellow", "quarantined": "red"}


def visible(text: str) -> str:
    """Escape what would steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def print_list(library: Library, found: Sequence[Entry]) -> None:
    """Print the table of programs, and below it the reasons for those that do not vote."""
    console = _console()
    console.print(list_view(console, found), crop=False)
    console.print(Text(f"Programs in {library.folder}"), soft_wrap=True)


def list_view(console: Console, found: Sequence[Entry]) -> RenderableType:
    """Draw the table for a console, with the columns that it has room for."""
    shown = [title for title, _ in _COLUMNS]
    for title, rank in sorted(_COLUMNS, key=lambda column: -column[1]):
        if _width(console, _table(found, shown)) <= console.width:
            break
        if rank:
            shown.remove(title)
    # On a terminal that is too narrow even so, lines run over rather than lose the end of a name.
    table = _table(found, shown)
    parts: list[RenderableType] = [_Whole(table, _width(console, table))]
    left = [title for title, _ in _COLUMNS if title not in shown]
    if left:
        parts.append(Text(f"Not shown, for want of width: {', '.join(left)}; --json has them"))
    for entry in found:
        if entry.reasons:
            reasons = visible("; ".join(entry.reasons))
            parts.append(Text(f"{visible(entry.name)} is {entry.state}: {reasons}", style=_STYLES[entry.state]))
    return Group(*parts)


def print_program(entry: Entry, text: str, examples: Mapping[str, Sequence[Row]]) -> None:
    """Print what is known of a program, then its file."""
    console = _console()
    for title, value in _facts(entry):
        console.print(Text(f"{title:14s} {visible(value)}"), soft_wrap=True)
    for vote, rows in examples.items():
        console.print(Text(f"\nvotes {vote}" + ("" if rows else ": no row of the first shard")))
        for row in rows:
            console.print(Text(f"  {row.id}  {visible(row.text)}"), soft_wrap=True)
    console.print()
    if console.is_terminal:
        console.print(Syntax(visible(text), "python", word_wrap=True, background_color="default"))
    else:
        sys.stdout.write(text)


def print_difference(found: Difference) -> None:
    """Print a unified diff, and how many votes changed."""
    console = _console()
    for line in found.lines:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        console.print(Text(visible(line), style=style), soft_wrap=True)
    if not found.lines:
        console.print("The texts are the same.")
    votes = found.votes
    if votes is None:
        same = found.old.digest == found.new.digest
        why = "the source is the same" if same else "the run has no rows with votes of both"
        console.print(f"\nVotes: not compared, {why}.", soft_wrap=True)
        return
    console.print(
        f"\nVotes: another one on {votes.changed:,} of {votes.rows:,} rows with votes of both.", soft_wrap=True
    )
    for (before, after), rows in votes.by_kind.items():
        console.print(Text(f"  {before} -> {after}: {rows:,}"), soft_wrap=True)


class _Whole:
    """Gives a table the width that it needs, whatever the console has."""

    def __init__(self, table: Table, width: int) -> None:
        self._table, self._width = table, width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table."""
        yield from console.render(self._table, options.update(width=self._width, max_width=self._width))


def _width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=_NO_LIMIT), table).maximum


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


def _table(found: Sequence[Entry], titles: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for title in titles:
        # Names are what other commands are given: they are neither cut nor wrapped.
        numeric = title in ("coverage", "est. accuracy", "faults", "µs/row", "tokens", "price")
        table.add_column(title, justify="right" if numeric else "left", no_wrap=True)
    for entry in found:
        cells = _cells(entry)
        style = _STYLES[entry.state]
        table.add_row(*(Text(cells[title], style=style if title == "state" else "") for title in titles))
    return table


def _cells(entry: Entry) -> dict[str, str]:
    known = entry.tokens_in is not None and entry.tokens_out is not None
    marks = [f"edited {entry.edits}x" if entry.edits > 1 else "edited"] if entry.edits else []
    marks += ["added"] if entry.added else []
    return {
        "program": visible(entry.name),
        "state": ", ".join([entry.state, *marks]),
        "coverage": _share(entry.coverage),
        "est. accuracy": _share(entry.estimated_accuracy),
        "faults": _UNKNOWN if entry.faults is None else f"{entry.faults:,}",
        "µs/row": _UNKNOWN if entry.cpu_s_per_row is None else f"{entry.cpu_s_per_row * 1e6:,.1f}",
        "model": visible(entry.model or _UNKNOWN),
        "strategy": visible(entry.strategy or _UNKNOWN),
        "tokens": f"{entry.tokens_in:,} + {entry.tokens_out:,}" if known else _UNKNOWN,
        "price": _UNKNOWN if entry.price is None else f"{entry.price:.6g} {entry.currency or ''}".rstrip(),
    }


def _facts(entry: Entry) -> list[tuple[str, str]]:
    facts = [(title, "unknown" if cell == _UNKNOWN else cell) for title, cell in _cells(entry).items()]
    facts += [("reason", reason) for reason in entry.reasons]
    return [*facts, ("file", str(entry.file)), ("digest", entry.digest or "unknown")]


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{100 * value:.1f} %"
