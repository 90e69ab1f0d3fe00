"""What the entry function of a program has to look like."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_ENTRY = "label_function"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def entry_problems(tree: ast.Module) -> Iterator[str]:
    """Yield what keeps a program's `label_function` from being called with a row and answering a class."""
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name == _ENTRY]
    if not found:
        yield f"it defines no function {_ENTRY} at its top level"
        return
    entry = found[-1]  # the one that counts when the name is bound twice
    given = entry.args
    positional = [*given.posonlyargs, *given.args]
    required = len(positional) - len(given.defaults)
    keywords = any(default is None for default in given.kw_defaults)
    if required > 1 or keywords or not (positional or given.vararg):
        yield f"line {entry.lineno}: {_ENTRY} must take one argument, the row"
    body = list(_own_nodes(entry))
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in body):
        yield f"line {entry.lineno}: {_ENTRY} is a generator; it must return a class number"
    elif not any(isinstance(node, ast.Return) and node.value is not None for node in body):
        yield f"line {entry.lineno}: {_ENTRY} never returns a value"


def _own_nodes(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """Walk a function's body, but not the functions and classes inside it."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            stack.extend(ast.iter_child_nodes(node))
