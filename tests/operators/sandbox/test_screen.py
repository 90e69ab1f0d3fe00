"""The screen: what is said about a program before it runs."""

from __future__ import annotations

import pytest

from operators.sandbox.screen import ALLOWED_MODULES, screen

BODY = "def label_function(text):\n    return 1\n"


def problems(source: str) -> str:
    """Join the problems into one text."""
    return "\n".join(screen(source).problems)


@pytest.mark.parametrize("module", ALLOWED_MODULES)
def test_every_allowed_module_is_accepted(module: str) -> None:
    """What the prompt offers can be imported in both ways."""
    name = "Mapping" if module == "collections.abc" else "label"
    assert screen(f"import {module}\n{BODY}").problems == ()
    assert screen(f"from {module} import {name}\n{BODY}").problems == ()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os\n" + BODY, "line 1: import of os"),
        ("from . import x\n" + BODY, "line 1: import of ."),
        ("from re import *\n" + BODY, "import of *"),
        ("from time import sleep\n" + BODY, "import of sleep from time"),
        ("import time\n" + BODY.replace("1", "time.sleep(1)"), "line 3: time.sleep is not available"),
        (BODY.replace("1", "eval(text)"), "line 2: name eval"),
        (BODY.replace("1", "text.__class__"), "attribute __class__"),
        (BODY.replace("1", "text._x"), "private attribute _x"),
        (BODY.replace("1", "getattr(text, 'a' + 'b')"), "getattr needs a public name"),
        (BODY.replace("1", "'{0.a}'.format(text)"), "format string"),
        ("import re\nre.search = None\n" + BODY, "assignment to attribute search"),
        (BODY + "class A(metaclass=type): pass\n", "metaclass"),
        ("def label_function(text):\n    while True: pass\n    return 1\n", "a loop without an end"),
        ("def label_function(text):\n    yield 1\n", "generator"),
        ("def label_function(text):\n    pass\n", "never returns"),
        ("def label_function(a, b):\n    return 1\n", "one argument"),
        ("def label(text):\n    return 1\n", "defines no function label_function"),
        ("def label_function(text:\n", "line 1: it is no valid Python"),
        (BODY + "x = " + "-" * 5000 + "1\n", "Python"),
        (BODY + "#" * 70_000, "64000"),
        (BODY + "\0", "no valid Python"),
    ],
)
def test_a_problem_is_named(source: str, expected: str) -> None:
    """Each reason says what and where, since it is also what a repair prompt says."""
    found = screen(source).problems
    assert found
    if expected != "Python":  # how a parser refuses deep nesting depends on its version
        assert expected in "\n".join(found)


def test_warnings_reject_nothing() -> None:
    """Global state, chance and a bare except are allowed and pointed out."""
    source = (
        "import random\nn = 0\ndef label_function(text):\n    global n\n"
        "    try:\n        return random.randint(0, 1)\n    except:\n        return 0\n"
    )
    screening = screen(source)
    assert screening.problems == ()
    assert len(screening.warnings) == 3


def test_ordinary_code_has_neither() -> None:
    """Defaults, classes with self, f-strings and comprehensions are what programs are made of."""
    source = (
        "from __future__ import annotations\nfrom collections import Counter\n\n\nclass Score:\n"
        "    def __init__(self):\n        self._n = 0\n\n    def add(self, n):\n        self._n += n\n"
        "        return self._n\n\n\n"
        "def label_function(text, weights={'good': 1}):\n    counts = Counter(text.lower().split())\n"
        "    total = Score().add(sum(weights.get(w, 0) * c for w, c in counts.items()))\n"
        "    return 1 if total > 0 else -1\n"
    )
    screening = screen(source)
    assert (screening.problems, screening.warnings) == ((), ())
