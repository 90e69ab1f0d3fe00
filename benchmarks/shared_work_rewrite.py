"""Rewrites a program so that work which programs could share costs it nothing, for benchmarks/shared_work.py.

In a first pass over the rows the shareable expressions are recorded; in the rewritten program each is a read of the
next recorded value, about 30 ns. No way of sharing can be faster than that, so what it saves is a bound.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from shared_work_oracle import Key, Oracle, next_name

KINDS = ("lower", "compile", "keywords", "prepared")

_SEARCHES = {"search": 2, "match": 2, "fullmatch": 2, "findall": 2, "finditer": 2, "split": 3, "sub": 4, "subn": 4}
"""Functions of `re`, and the place of `flags` among their arguments."""

_FOLDS = {"any", "all", "sum", "len", "max", "min", "set", "list", "tuple", "sorted", "frozenset", "Counter"}
_COMPREHENSIONS = (ast.GeneratorExp, ast.ListComp, ast.SetComp)


def survey(source: str) -> str:
    """Rewrite a program so that it reports every expression that may be shareable."""
    return ast.unparse(ast.fix_missing_locations(_Rewriter(_surveyed).visit(ast.parse(source))))


def shareable(source: str, oracle: Oracle) -> dict[str, set[Key]]:
    """Return the shareable expressions of a surveyed program by kind.

    "prepared" is for the caller to find; "leaves" are the single searches that the scans for keywords consist of.
    """
    found: dict[str, set[Key]] = {kind: set() for kind in (*KINDS, "leaves")}
    seen = oracle.seen
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.expr):
            continue
        key = _key(node)
        if _is_lower(node) and key in seen and seen[key].lowers_row:
            found["lower"].add(key)
        if _is_re(node):
            found["compile"].add(key)
        leaves = [_key(leaf) for leaf in _leaves(node)]
        if leaves and all(leaf in seen and seen[leaf].plain and len(seen[leaf].searched) > 1 for leaf in leaves):
            found["keywords"].add(key)
            found["leaves"].update(leaves)
    return found


def rewrite(source: str, chosen: set[Key], *, patterns: set[Key], replay: bool) -> str:
    """Rewrite a program to record the chosen expressions, or to replay them.

    Args:
        source: of the program.
        chosen: expressions whose value is shared.
        patterns: calls of `re` whose compiled pattern is shared.
        replay: instead of to record.
    """

    def change(node: ast.expr, visit: Callable[[ast.AST], ast.AST]) -> ast.expr | None:
        key = _key(node)
        if key in chosen:
            return _read(key) if replay else _call("record", key, node)
        if key in patterns and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            flags_at = _SEARCHES[node.func.attr]
            flags = [word.value for word in node.keywords if word.arg == "flags"] + node.args[flags_at : flags_at + 1]
            compiled = ast.Call(ast.parse("re.compile", mode="eval").body, [node.args[0], *flags], [])
            return ast.Call(
                ast.Attribute(_read(key) if replay else _call("record", key, compiled), node.func.attr, ast.Load()),
                [_visited(argument, visit) for argument in node.args[1:flags_at]],
                [
                    ast.keyword(word.arg, _visited(word.value, visit))
                    for word in node.keywords
                    if word.arg not in ("flags", "pattern")
                ],
            )
        return None

    return ast.unparse(ast.fix_missing_locations(_Rewriter(change).visit(ast.parse(source))))


def _surveyed(node: ast.expr, visit: Callable[[ast.AST], ast.AST]) -> ast.expr | None:
    key = _key(node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.In):
        left = _call("needle", key, _visited(node.left, visit))
        return ast.Compare(left, node.ops, [_call("haystack", key, _visited(node.comparators[0], visit))])
    if not isinstance(node, ast.Call):
        return None
    lower, searched, counted = _is_lower(node), _is_re(node), _is_count(node)
    call = ast.Call(node.func, [_visited(a, visit) for a in node.args], node.keywords)
    for word in call.keywords:
        word.value = _visited(word.value, visit)
    if isinstance(call.func, ast.Attribute):
        call.func.value = _visited(call.func.value, visit)
        if lower:
            call.func.value = _call("lowered", key, call.func.value)
        if counted:
            call.func.value = _call("haystack", key, call.func.value)
            call.args[0] = _call("needle", key, call.args[0])
        if searched and call.func.attr in ("search", "match", "findall"):
            call.args[0] = _call("pattern", key, call.args[0])
            call.args[1] = _call("haystack", key, call.args[1])
    return _call("value", key, call)


class _Rewriter(ast.NodeTransformer):
    """Rewrites expressions within functions only: what runs once at the load is no work on rows."""

    def __init__(self, change: Callable[[ast.expr, Callable[[ast.AST], ast.AST]], ast.expr | None]) -> None:
        self._change = change
        self._depth = 0

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.FunctionDef):
            self._depth += 1
            node.body = [_statement(self.visit(child)) for child in node.body]
            self._depth -= 1
            return node
        if self._depth and isinstance(node, ast.expr):
            changed = self._change(node, self.visit)
            if changed is not None:
                return changed
        return self.generic_visit(node)


def _statement(node: ast.AST) -> ast.stmt:
    assert isinstance(node, ast.stmt)
    return node


def _visited(node: ast.expr, visit: Callable[[ast.AST], ast.AST]) -> ast.expr:
    changed = visit(node)
    assert isinstance(changed, ast.expr)
    return changed


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the searches for keywords that a scan consists of; nothing when it is no scan."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.In):
        yield node
        return
    inner: ast.expr = node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FOLDS and node.args:
        inner = node.args[0]
    elif isinstance(node, ast.GeneratorExp):
        return  # its consumer is what a scan costs
    if not isinstance(inner, _COMPREHENSIONS):
        return
    targets = {name.id for part in inner.generators for name in ast.walk(part.target) if isinstance(name, ast.Name)}
    for part in ast.walk(inner):
        needle: ast.expr | None = None
        if isinstance(part, ast.Compare) and len(part.ops) == 1 and isinstance(part.ops[0], ast.In):
            needle = part.left
        elif isinstance(part, ast.Call) and (_is_count(part) or _is_re(part)):
            needle = part.args[0]
        if needle is not None and any(isinstance(n, ast.Name) and n.id in targets for n in ast.walk(needle)):
            assert isinstance(part, ast.expr)
            yield part


def _is_lower(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("lower", "casefold")
        and not node.args
    )


def _is_count(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "count"
        and len(node.args) == 1
    )


def _is_re(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in _SEARCHES
        and len(node.args) >= 2
    )


def _key(node: ast.expr) -> Key:
    return (
        type(node).__name__,
        node.lineno * 1000 + node.col_offset,
        (node.end_lineno or 0) * 1000 + (node.end_col_offset or 0),
    )


def _read(key: Key) -> ast.expr:
    return ast.Call(ast.Name(next_name(key), ast.Load()), [], [])


def _call(method: str, key: Key, argument: ast.expr) -> ast.expr:
    function = ast.parse(f"_oracle.{method}", mode="eval").body
    return ast.Call(function, [ast.parse(repr(key), mode="eval").body, argument], [])
