"""Finding the program in what a language model answered.

Models wrap code in fences, or do not; they explain before and after, think aloud, give a draft and then a
better version, or split imports and function over two blocks. Code is taken as it stands and never mended:
a program that was cut off or misspelt is shown to the screen as it is, so that the reason for its rejection
is the true one.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

ENTRY = "label_function"
"""Name of the function that every program defines."""

MAX_ANSWER_CHARS = 200_000
"""Above any program that the screen lets pass; longer answers are not searched."""

_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})[ \t]*[^`]*")
_ENTRY_LINE = re.compile(rf"[ \t]*(async[ \t]+)?def[ \t]+{ENTRY}\b")
_FUNCTION = re.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)
_MAX_CLOSERS = 4
_MAX_PROSE_LINES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Code of an answer that has the entry function in it.

    Attributes:
        closed: False for a fenced block that the answer never ends.
    """

    source: str
    closed: bool


def candidates(answer: str) -> list[Candidate]:
    """Return the code in an answer that may be the program, the most likely first.

    Blocks that parse and define the entry function come first, the last one before earlier ones, since models
    correct themselves downwards; then blocks that mention it and do not parse.
    """
    # A reasoning model's drafts stand before the end of its thoughts.
    answer = answer.rpartition("</think>")[2].replace("\r\n", "\n").replace("\r", "\n")
    blocks = _fenced_blocks(answer.split("\n"))
    whole, broken = [], []
    for place, block in enumerate(blocks):
        if not _mentions_entry(block.source):
            continue
        tree = _parsed(block.source)
        if tree is None:
            broken.append(block)
        elif _defines_entry(tree):
            earlier = (other.source for other in blocks[:place])
            whole.append(Candidate(source=_with_missing(block.source, tree, earlier), closed=block.closed))
        else:
            broken.append(block)
    if whole or broken:
        return whole[::-1] + broken[::-1]
    bare = _bare_code(_dedented(answer.split("\n")).split("\n"))
    return [] if bare is None else [Candidate(source=bare, closed=True)]


def why_none(answer: str) -> str:
    """Say why an answer without candidates has none."""
    if not answer.strip():
        return "the answer is empty"
    others = sorted(set(_FUNCTION.findall(answer)))
    if others:
        return f"the answer defines {', '.join(others)}, but no Python function {ENTRY}"
    opening = " ".join(answer.split())[:80]
    return f"the answer holds no Python function {ENTRY}; it begins {opening!r}"


def _fenced_blocks(lines: list[str]) -> list[Candidate]:
    blocks = []
    at = 0
    while at < len(lines):
        fence = _FENCE.fullmatch(lines[at])
        if fence is None:
            at += 1
            continue
        end = _end_of_block(lines, at + 1, fence[1])
        body = lines[at + 1 : len(lines) if end is None else end]
        blocks.append(Candidate(source=_dedented(body), closed=end is not None))
        at = len(lines) if end is None else end + 1
    return blocks


def _end_of_block(lines: list[str], start: int, marker: str) -> int | None:
    """Return the line that closes a block: the first before which the block parses, else the first."""
    closers: list[int] = []
    for at in range(start, len(lines)):
        stripped = lines[at].strip(" \t>")
        if len(stripped) < len(marker) or set(stripped) != {marker[0]}:
            continue
        # A fence inside a docstring does not end the block, and what stands before it does not parse.
        if _parsed(_dedented(lines[start:at])) is not None:
            return at
        closers.append(at)
        if len(closers) == _MAX_CLOSERS:
            break
    return closers[0] if closers else None


def _bare_code(lines: list[str]) -> str | None:
    """Return the code around an unfenced entry function, without the prose before and after it."""
    entry = max((at for at, line in enumerate(lines) if _ENTRY_LINE.match(line)), default=None)
    if entry is None:
        return None
    start, end = 0, len(lines)
    for _ in range(_MAX_PROSE_LINES):
        error = _syntax_error(lines[start:end])
        if error is None or error.lineno is None:
            break
        at = start + error.lineno - 1
        if at < entry:
            start = at + 1
        elif entry < at < end and lines[at][:1].strip():
            end = at
        else:
            # Inside the function: cutting there would leave another program than the one written.
            break
    return "\n".join(lines[start:end])


def _with_missing(source: str, tree: ast.Module, earlier: Iterable[str]) -> str:
    """Put earlier blocks before the one with the entry function, where they define names that it lacks."""
    missing = _names(tree, ast.Load) - _bound(tree) - set(dir(builtins))
    parts = []
    for other in earlier:
        other_tree = _parsed(other)
        if other_tree is not None and missing & _bound(other_tree) and not _defines_entry(other_tree):
            parts.append(other)
    return "\n".join([*parts, source])


def _names(tree: ast.Module, context: type[ast.expr_context]) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, context)}


def _bound(tree: ast.Module) -> set[str]:
    bound = _names(tree, ast.Store)
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, _NAMED) and node.name:
            bound.add(node.name)
    return bound


def _dedented(lines: list[str]) -> str:
    """Take away the blanks that all lines begin with, and nothing from blank lines: they may be in a string."""
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()]
    shared = min(indents, key=len, default="")
    if not all(indent.startswith(shared) for indent in indents):
        shared = ""
    return "\n".join(line.removeprefix(shared) for line in lines)


def _mentions_entry(source: str) -> bool:
    return any(_ENTRY_LINE.match(line) for line in source.split("\n"))


def _defines_entry(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == ENTRY for node in tree.body)


def _parsed(source: str) -> ast.Module | None:
    """Parse a source for its shape alone; None where Python would not read it."""
    with warnings.catch_warnings():
        # Models write "\d" in plain strings; the interpreter warns, and runs it.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _syntax_error(lines: list[str]) -> SyntaxError | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse("\n".join(lines))
        except SyntaxError as error:
            return error
        except (ValueError, RecursionError, MemoryError):
            return None
    return None
