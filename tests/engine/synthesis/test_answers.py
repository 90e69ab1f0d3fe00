"""Where the program is found in a language model's answer."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.synthesis.answers import ENTRY, candidates, why_none

CODE = """import re

LINK = re.compile(r"http")

def label_function(text):
    return 1 if LINK.search(text) else -1"""


def first(answer: str) -> str:
    return candidates(answer)[0].source.strip()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(f"```python\n{CODE}\n```", id="fence"),
        pytest.param(f"Sure, here it is:\n\n```python\n{CODE}\n```\nIt's simple, isn't it?", id="prose"),
        pytest.param(f"```\n{CODE}\n```", id="no language"),
        pytest.param(f"~~~py\n{CODE}\n~~~", id="tildes"),
        pytest.param(f'````python title="a.py"\n{CODE}\n````', id="long fence"),
        pytest.param(f"```Python\r\n{CODE}\r\n```\r\n".replace("\n", "\r\n"), id="windows"),
        pytest.param(
            "1. Here:\n" + "\n".join("   " + line for line in f"```python\n{CODE}\n```".split("\n")),
            id="list",
        ),
        pytest.param(f"```python\n{CODE}", id="fence left open"),
        pytest.param(CODE, id="bare"),
        pytest.param("\n".join("    " + line for line in CODE.split("\n")), id="bare and indented"),
        pytest.param(
            f"Sure, here's the code (it isn't long):\n\n{CODE}\n\nThis function looks for links.",
            id="bare, prose",
        ),
        pytest.param(
            f"```python\nprint('hi')\n```\nand\n```python\n{CODE}\n```\n```\nlabel_function('x')\n```",
            id="others",
        ),
        pytest.param(
            f"<think>```python\ndef label_function(x): return 0\n```</think>\n```python\n{CODE}\n```",
            id="thoughts",
        ),
    ],
)
def test_the_program_is_found_however_it_is_wrapped(answer: str) -> None:
    """Every common way to wrap code gives the same code."""
    assert first(answer) == CODE


def test_the_last_complete_version_wins_over_a_draft() -> None:
    """A model that corrects itself means its last version."""
    draft = "```python\ndef label_function(x):\n    return 0\n```"
    assert first(f"{draft}\nWait, that ignores links.\n```python\n{CODE}\n```") == CODE


def test_a_broken_last_version_does_not_hide_a_complete_one() -> None:
    """A version that was cut off comes after one that parses."""
    found = candidates(f"```python\n{CODE}\n```\nBetter:\n```python\ndef label_function(x):\n    if x in (")
    assert found[0].source == CODE
    assert not found[1].closed


def test_a_fence_inside_a_docstring_does_not_end_the_block() -> None:
    """The block goes on to the fence that leaves it whole."""
    code = "def label_function(x):\n    '''Vote.\n\n    ```\n    label_function(1)\n    ```\n    '''\n    return 1"
    assert first(f"```python\n{code}\n```\nDone.") == code


def test_blocks_that_the_function_needs_are_put_before_it() -> None:
    """Imports and word lists in a block of their own come along, examples of use do not."""
    answer = (
        "First the imports:\n```python\nimport re\nWORDS = {'a'}\n```\n"
        "An example:\n```python\nresult = label_function('a')\n```\n"
        "```python\ndef label_function(x):\n    return 1 if WORDS & set(re.findall('a', x)) else -1\n```"
    )
    source = first(answer)
    assert source.startswith("import re")
    assert "result" not in source


def test_a_misspelt_function_is_not_cut_to_something_that_parses() -> None:
    """A syntax error inside bare code stays in it, so that the screen names it."""
    broken = "def label_function(x):\n    if 'a' in x:\n        return 1\n    word = 'it's'\n    return 0"
    assert "it's" in first(f"Here you go:\n{broken}\nEnjoy it!")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("  \n", "the answer is empty"),
        ("I'm sorry, I can't help with that.", "it begins \"I'm sorry"),
        (
            "```python\ndef classify(x):\n    return 1\n```",
            "defines classify, but no Python function label_function",
        ),
    ],
)
def test_an_answer_without_a_program_says_what_it_holds(answer: str, reason: str) -> None:
    """The reason tells an empty answer from prose and from another function."""
    assert candidates(answer) == []
    assert reason in why_none(answer)


def test_ten_thousand_fences_are_read_quickly() -> None:
    """The search is linear in an answer made to slow it down."""
    assert candidates("```python\nx = '\n" * 10_000) == []


@given(
    st.lists(st.sampled_from(["```", "```python", "~~~", CODE, "def label_function(x):", "  return", "it's (", "'''"]))
)
def test_any_mixture_of_fences_and_code_is_read_without_an_error(parts: list[str]) -> None:
    """Whatever the answer, the search ends, and what defines the function stands before what only mentions it."""
    shapes = []
    for candidate in candidates("\n".join(parts)):
        try:
            body = ast.parse(candidate.source).body
        except SyntaxError:
            body = []
        shapes.append(not any(isinstance(node, ast.FunctionDef) and node.name == ENTRY for node in body))
    assert shapes == sorted(shapes)
