"""How alike two programs are: in how they are written, and in how they vote.

Programs that repeat each other cost a request each and teach a label model nothing; models of any size write them all
the same. What is compared is what a reader would compare: the words and numbers a program looks for, and the shape of
its code, with names, comments, docstrings, layout and the order of word lists taken away. Where two programs look for
other words, the same shape makes them no copies.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from operators.schema import ABSTAIN

SAME_VOTES = 0.98
"""Of the rows that either of two programs gives a class, the share to which both do from which they are copies."""

_LEAST_ROWS = 20
"""Rows of a class, below which equal votes prove nothing."""

_GRAM = 4
_WORD = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?")
_EVERYWHERE = (0, 1)
"""Numbers that votes, counters and indices bring into every program, True and False with them."""

_KEPT_NAME = "label_function"
_SEQUENCES = (ast.Set, ast.List, ast.Tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What is compared of a program.

    Attributes:
        shape: how often each run of four tokens of its normalised code occurs.
        evidence: words of its strings, in small letters, and its numbers other than 0 and 1.
    """

    shape: Counter[tuple[str, ...]]
    evidence: frozenset[str]


def fingerprint(source: str) -> Fingerprint:
    """Take the fingerprint of a program that passed the screen.

    Raises:
        SyntaxError: Python cannot read it; no screened program is like that.
    """
    with warnings.catch_warnings():
        # Models write "\\d" in plain strings; the interpreter warns, and runs it.
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    own = _own_names(tree)
    evidence: set[str] = set()
    tokens = list(_tokens(tree, own, evidence))
    padded = ["<"] * (_GRAM - 1) + tokens
    grams = Counter(tuple(padded[at : at + _GRAM]) for at in range(len(tokens)))
    return Fingerprint(shape=grams, evidence=frozenset(evidence))


def likeness(one: Fingerprint, other: Fingerprint) -> float:
    r"""Measure how alike two programs are written.

    Returns:
        0..1: the geometric mean of what they share of their shapes and of their evidence, so that neither the same
        code with other words nor the same words in other code comes near 1. 1 for a program and itself.

    Example:
        >>> a = fingerprint("def label_function(text):\n    return 1 if 'free' in text else -1\n")
        >>> b = fingerprint("def label_function(row):\n    '''Spam?'''\n    return 1 if 'free' in row else -1\n")
        >>> c = fingerprint("def label_function(text):\n    return 1 if 'song' in text else -1\n")
        >>> likeness(a, b), likeness(a, c) < 0.6
        (1.0, True)
    """
    shape = _share((one.shape & other.shape).total(), (one.shape | other.shape).total())
    evidence = _share(len(one.evidence & other.evidence), len(one.evidence | other.evidence))
    return float(np.sqrt(shape * evidence))


def vote_likeness(one: npt.NDArray[np.int8], other: npt.NDArray[np.int8]) -> float:
    """Measure how alike two programs vote.

    By class, and the class on which they are least alike counts: where most rows are of one class, two programs that
    both say so agree on nearly all of them, and may differ on every row that matters.

    Args:
        one: (n,) votes.
        other: (n,) votes on the same rows.

    Returns:
        0..1: of the rows that either gives the class, the share to which both do; 0 where these rows are few.
    """
    shares = []
    for y in np.unique(np.concatenate([one, other])):
        either = ((one == y) | (other == y)).sum()
        if y != ABSTAIN and either >= _LEAST_ROWS:
            shares.append(((one == y) & (other == y)).sum() / either)
    return float(min(shares, default=0.0))


def _share(common: int, together: int) -> float:
    return common / together if together else 1.0


def _own_names(tree: ast.Module) -> frozenset[str]:
    """Names that the program gives itself; others (builtins, methods) say what it does."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)) and node.name:
            names.add(node.name)
    return frozenset(names - {_KEPT_NAME})


def _tokens(tree: ast.Module, own: frozenset[str], evidence: set[str]) -> Iterator[str]:
    """Walk the tree in the order of the text, without recursion: models nest deeply."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Constant):
            evidence.update(_words(node.value))
            yield type(node.value).__name__
            continue
        if _is_data(node):
            # However long a word list is and however it is ordered or kept, it is one token.
            for inner in ast.walk(node):
                if isinstance(inner, ast.Constant):
                    evidence.update(_words(inner.value))
            yield "data"
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring, or a comment written as a string
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.expr_context)):
            continue
        yield _label(node, own)
        waiting += reversed(list(_children(node)))


def _label(node: ast.AST, own: frozenset[str]) -> str:
    kind = type(node).__name__
    if isinstance(node, ast.Name):
        return "own" if node.id in own else node.id
    if isinstance(node, ast.Attribute):
        return f".{node.attr}"
    if isinstance(node, ast.keyword):
        return f"{node.arg}="
    return kind


def _children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node.args
        yield from node.body
    elif isinstance(node, ast.AnnAssign):
        yield node.target
        if node.value is not None:
            yield node.value
    elif isinstance(node, ast.arg):
        return
    else:
        yield from ast.iter_child_nodes(node)


def _is_data(node: ast.AST) -> bool:
    if isinstance(node, _SEQUENCES):
        return bool(node.elts) and all(isinstance(e, ast.Constant) or _is_data(e) for e in node.elts)
    if isinstance(node, ast.Dict):
        cells = [*node.keys, *node.values]
        return bool(cells) and all(c is not None and (isinstance(c, ast.Constant) or _is_data(c)) for c in cells)
    return False


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from (word.casefold() for word in _WORD.findall(value))
    elif isinstance(value, (int, float)) and value not in _EVERYWHERE:
        yield repr(value)
