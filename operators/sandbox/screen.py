"""Reads a program without running it and says what keeps it from being used.

This is no security boundary: the kernel is (`lockdown`). It turns what would fail later, on a worker and row by row,
into sentences that a person or a language model can act on.
"""

from __future__ import annotations

import ast
import string
import warnings
from dataclasses import dataclass

from .entry import entry_problems
from .modules import SAFE_SPECIAL_NAMES, WITHHELD, words

ALLOWED_MODULES: tuple[str, ...] = tuple(WITHHELD)
"""What a program may import; `from __future__` is let through besides."""

_MAX_CHARS = 64_000
_MAX_NODES = 20_000
_MAX_DEPTH = 80  # far above written code, far below where the compiler runs out of stack
_MAX_INT = 10**40
_MAX_PROBLEMS = 12  # a repair prompt gains nothing from more

_FORBIDDEN_NAMES = words(
    "eval exec compile open input globals locals vars dir breakpoint help memoryview setattr delattr exit quit"
)
_FRAME_ATTRIBUTES = words(
    "f_globals f_locals f_builtins f_back f_code gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_await cr_origin "
    "ag_frame ag_code ag_await tb_frame tb_next tb_lasti func_globals func_code co_code co_consts format_map mro "
    "with_traceback"
)
_SPECIAL_METHODS = words(
    "__init__ __call__ __str__ __repr__ __len__ __iter__ __next__ __contains__ __eq__ __hash__ __lt__ __getitem__ "
    "__enter__ __exit__ __post_init__"
)
_TELLING_STRINGS = ("__class__", "__subclasses__", "__globals__", "__builtins__", "__mro__", "__import__")
_CLOCK_AND_CHANCE = words("now today utcnow random randint choice choices shuffle sample time perf_counter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What the screen found.

    Attributes:
        problems: why the program cannot be used, a sentence each; empty when it can.
        warnings: what a reader may want to know; nothing follows from them.
    """

    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def screen(source: str) -> Screening:
    r"""Check a program's syntax, its imports, its entry function and the names it reaches for.

    Args:
        source: of one program, any text.

    Example:
        >>> screen("import os\ndef label_function(text):\n    return 1\n").problems
        ('line 1: import of os; programs may import only the modules named in the prompt',)
    """
    if len(source) > _MAX_CHARS:
        return _refused(f"the source is {len(source)} characters long; {_MAX_CHARS} are read at most")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in a program is not a warning of ours
            tree = ast.parse(source)
    except SyntaxError as error:
        return _refused(f"line {error.lineno}: it is no valid Python: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return _refused(f"it is no valid Python: {str(error) or type(error).__name__}")
    problem = _size_problem(tree)
    if problem is not None:
        return _refused(problem)
    checks = _Checks()
    for node in ast.walk(tree):
        checks.visit(node)
    problems = list(dict.fromkeys([*entry_problems(tree), *checks.problems]))
    return Screening(problems=tuple(problems[:_MAX_PROBLEMS]), warnings=tuple(dict.fromkeys(checks.warnings)))


def _refused(problem: str) -> Screening:
    return Screening(problems=(problem,), warnings=())


def _size_problem(tree: ast.Module) -> str | None:
    """Bound the tree without recursion, before anything walks it that recurses."""
    level: list[ast.AST] = [tree]
    nodes = depth = 0
    while level:
        nodes, depth = nodes + len(level), depth + 1
        if nodes > _MAX_NODES or depth > _MAX_DEPTH:
            return "the program is too large or too deeply nested; simplify it"
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return None


class _Checks:
    """One method a kind of node; `visit` is given every node once."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def visit(self, node: ast.AST) -> None:
        check = getattr(self, f"_{type(node).__name__.lower()}", None)
        if check is not None:
            check(node)

    def _problem(self, node: ast.AST, text: str) -> None:
        self.problems.append(f"line {getattr(node, 'lineno', '?')}: {text}")

    def _no_module(self, node: ast.AST, name: str) -> None:
        self._problem(node, f"import of {name}; programs may import only the modules named in the prompt")

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name not in WITHHELD:
                self._no_module(node, alias.name)

    def _importfrom(self, node: ast.ImportFrom) -> None:
        if node.module == "__future__" and not node.level:
            return
        if node.level or node.module not in WITHHELD:
            self._no_module(node, "." * node.level + (node.module or ""))
            return
        for alias in node.names:
            if alias.name == "*" or alias.name.startswith("_") or alias.name in WITHHELD[node.module]:
                self._problem(node, f"import of {alias.name} from {node.module}; name what is used, without it")

    def _attribute(self, node: ast.Attribute) -> None:
        name, owner = node.attr, node.value
        of_self = isinstance(owner, ast.Name) and owner.id == "self"
        if name in _FRAME_ATTRIBUTES or (name.startswith("__") and name not in {"__name__", "__doc__", "__init__"}):
            self._problem(node, f"attribute {name}, which reaches into the interpreter")
        elif name.startswith("_") and not of_self and not name.startswith("__"):
            self._problem(node, f"private attribute {name}")
        if isinstance(node.ctx, ast.Store | ast.Del) and not of_self:
            self._problem(node, f"assignment to attribute {name}; only attributes of self may be set")
        if isinstance(owner, ast.Name) and name in WITHHELD.get(owner.id, ()):
            self._problem(node, f"{owner.id}.{name} is not available")
        if name in _CLOCK_AND_CHANCE:
            self.warnings.append("clock or chance: votes may not repeat")

    def _name(self, node: ast.Name) -> None:
        if node.id in _FORBIDDEN_NAMES or (node.id.startswith("__") and node.id not in {"__name__", "__doc__"}):
            self._problem(node, f"name {node.id} is not available")

    def _call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr == "format":
            self._format(function)
        if not isinstance(function, ast.Name):
            return
        if function.id in {"getattr", "hasattr"}:
            name = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else None
            private = isinstance(name, str) and name.startswith("_") and name not in SAFE_SPECIAL_NAMES
            if not isinstance(name, str) or private or name in _FRAME_ATTRIBUTES:
                self._problem(node, f"{function.id} needs a public name written out as a string")
        if function.id == "type" and len(node.args) != 1:
            self._problem(node, "a class made by calling type")

    def _format(self, function: ast.Attribute) -> None:
        template = function.value.value if isinstance(function.value, ast.Constant) else None
        if not isinstance(template, str):
            self._problem(function, ".format on other than a string literal; use an f-string")
            return
        try:
            fields = [field for _, field, _, _ in string.Formatter().parse(template) if field]
        except ValueError:
            return  # it raises at run time, and is counted there
        if any("." in field or "[" in field for field in fields):
            self._problem(function, "a format string that reads attributes; use an f-string")

    def _functiondef(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        if node.name.startswith("__") and node.name not in _SPECIAL_METHODS:
            self._problem(node, f"definition of {node.name}")

    def _classdef(self, node: ast.ClassDef) -> None:
        self._functiondef(node)
        if node.keywords:
            self._problem(node, "a class with a metaclass or keywords")

    def _asyncfunctiondef(self, node: ast.AST) -> None:
        self._problem(node, "async code; programs are plain functions")

    _await = _asyncfor = _asyncwith = _asyncfunctiondef

    def _matchclass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:
            if name.startswith("_") or name in _FRAME_ATTRIBUTES:
                self._problem(node, f"match on attribute {name}")

    def _hidden(self, node: ast.AST, name: str | None) -> None:
        if name is not None and name.startswith("__"):
            self._problem(node, f"name {name}")

    def _keyword(self, node: ast.keyword) -> None:
        self._hidden(node, node.arg)

    def _arg(self, node: ast.arg) -> None:
        self._hidden(node, node.arg)

    def _alias(self, node: ast.alias) -> None:
        self._hidden(node, node.asname)

    def _global(self, node: ast.Global) -> None:
        self.warnings.append("global state: votes may depend on the order of rows")
        for name in node.names:
            self._hidden(node, name)

    def _excepthandler(self, node: ast.ExceptHandler) -> None:
        self._hidden(node, node.name)
        if node.type is None:
            self.warnings.append("a bare except hides the program's own faults")

    def _constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, int) and abs(value) >= _MAX_INT:
            self._problem(node, "an integer of more than 40 digits")
        elif isinstance(value, str) and any(word in value for word in _TELLING_STRINGS):
            self._problem(node, "a string with the name of an interpreter attribute")

    def _while(self, node: ast.While) -> None:
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        if endless and not any(isinstance(n, ast.Break | ast.Return | ast.Raise) for n in ast.walk(node)):
            self._problem(node, "a loop without an end")
