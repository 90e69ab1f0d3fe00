"""What a model is told of its broken program, and what of the rows it is not told."""

from __future__ import annotations

import pytest

from engine.synthesis.prompts import Prompt
from engine.synthesis.repair import repair, without_rows

QUESTION = Prompt(system="Write programs.", user="Label a comment.")


def test_the_question_the_program_and_the_reasons_are_told() -> None:
    """Prose around the code is left out; it costs tokens and says nothing."""
    answer = "Sure, happy to help!\n```python\ndef label_function(text):\n    return spam\n```"
    prompt = repair(QUESTION, answer=answer, reasons=("it fails on 100% of 50 rows",))
    assert prompt.system == QUESTION.system
    assert prompt.user.startswith("Label a comment.\n")
    assert "```python\ndef label_function(text):\n    return spam\n```" in prompt.user
    assert "- it fails on 100% of 50 rows\n" in prompt.user
    assert "happy to help" not in prompt.user


@pytest.mark.parametrize(("answer", "shown"), [("I cannot write programs.", "I cannot write"), ("  ", "it was empty")])
def test_an_answer_without_code_is_shown_by_its_beginning(answer: str, shown: str) -> None:
    """Prose instead of code, or nothing at all."""
    user = repair(QUESTION, answer=answer, reasons=("no program",)).user
    assert shown in user
    assert "```python" not in user


def test_a_very_long_program_is_cut() -> None:
    """A repair never costs more than a bound."""
    answer = "def label_function(text):\n" + "    x = 'free'\n" * 5000 + "    return 1\n"
    user = repair(QUESTION, answer=answer, reasons=("too long",)).user
    assert len(user) < 14_000
    assert "the rest is left out" in user


@pytest.mark.parametrize(
    ("message", "source", "told"),
    [
        ("NameError: name 'data' is not defined", "data", "NameError: name 'data' is not defined"),
        (
            "AttributeError: 'NoneType' object has no attribute 'group'",
            "",
            "AttributeError: 'NoneType' object has no attribute 'group'",
        ),
        ("KeyError: 'call me on 0151'", "counts[text]", "KeyError: ..."),
        (
            "ValueError: invalid literal for int() with base 10: 'secret'",
            "int(text)",
            "ValueError: invalid literal for int() with base 10: ...",
        ),
        ("TypeError: secret row", "raise TypeError(text)", "TypeError: ..."),
        ("label_function returned the str 'spam'", "return 'spam'", "label_function returned the str 'spam'"),
        ("label_function returned the str 'my row'", "return text", "label_function returned the str ..."),
        ("its process was killed by SIGSEGV", "", "its process was killed by SIGSEGV"),
        ("ValueError: it's 'secret'", "", "ValueError: it..."),
    ],
)
def test_what_may_quote_a_row_is_cut_off(message: str, source: str, told: str) -> None:
    """Names and types of the program itself stay, since they are what helps."""
    assert without_rows(message, source=source) == told
