"""Asking a language model to put its own program right, without telling it what stands in the user's rows.

The reasons for a rejection are written for who repairs the program. One part of them comes from outside: the message
of an exception may quote the row that raised it, so what may be a quotation is cut off before it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.synthesis.answers import candidates
from engine.synthesis.prompts import Prompt, rendered

_MOST_CHARS = 12_000
"""Of a program that is sent back; more would cost more than a new one."""

_BEGINNING_CHARS = 500

_PLAIN = frozenset(
    {
        "AttributeError",
        "IndexError",
        "NameError",
        "RecursionError",
        "RowTimeout",
        "TypeError",
        "UnboundLocalError",
        "ZeroDivisionError",
    }
)
"""Exceptions whose messages the interpreter writes from the program's own names and types."""

_QUOTE = re.compile(r"['\"]")
_EXCEPTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*(?=: )")


def repair(question: Prompt, *, answer: str, reasons: Sequence[str]) -> Prompt:
    """Write the request to put an answer right: the question again, the program, and why it was turned away.

    Args:
        question: what was answered.
        answer: of the model, word for word.
        reasons: as they may be told.
    """
    found = candidates(answer) if answer.strip() else []
    program = found[0].source.strip("\n") if found else ""
    if len(program) > _MOST_CHARS:
        program = f"{program[:_MOST_CHARS]}\n# (the rest is left out here)"
    user = rendered(
        "repair.jinja",
        question=question.user,
        program=program,
        beginning=" ".join(answer.split())[:_BEGINNING_CHARS] or "(it was empty)",
        reasons=reasons,
    )
    return Prompt(system=question.system, user=user)


def without_rows(message: str, *, source: str) -> str:
    """Cut from the message of a fault whatever may be a quotation from a row.

    Args:
        message: of the sandbox, such as "ValueError: invalid literal for int() with base 10: 'ab'".
        source: of the program; what it holds itself is no secret.

    Example:
        >>> without_rows("KeyError: 'secret'", source="x = counts[word]")
        'KeyError: ...'
        >>> without_rows("NameError: name 'y' is not defined", source="return y")
        "NameError: name 'y' is not defined"
    """
    kind = _EXCEPTION.match(message)
    if kind is not None and "raise" in source:
        # The program writes its own messages, and may put a row into any of them.
        return f"{kind[0]}: ..."
    if kind is not None and kind[0] in _PLAIN:
        return message
    at = 0
    while (quote := _QUOTE.search(message, at)) is not None:
        end = message.find(quote[0], quote.end())
        if end <= quote.end() or message[quote.end() : end] not in source:
            return f"{message[: quote.start()]}..."
        at = end + 1
    return message
