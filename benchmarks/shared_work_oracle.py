"""What rewritten programs talk to while they are surveyed, recorded and replayed, for benchmarks/shared_work.py."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Key = tuple[str, int, int]
"""An expression of a program: kind, start and end."""

_WORD = re.compile(r"(?:\\b)?(?:[\w\s'-]|\\[^\w])+(?:\\b)?")


@dataclass(slots=True)
class Seen:
    """What a survey saw of one expression.

    Attributes:
        lowers_row: each time it was the row's own text that was lowered.
        plain: the texts were strings, what was searched for a keyword.
        searched: the different texts that were searched.
        keywords: that they were searched for, without ends of words and escapes.
        values: {row: hash of the text or list of words that it gave}, None where it gave anything else.
    """

    lowers_row: bool = True
    plain: bool = True
    searched: set[str] = field(default_factory=set)
    keywords: set[str] = field(default_factory=set)
    values: dict[int, int] | None = field(default_factory=dict)


class Oracle:
    """What rewritten programs talk to while they are surveyed and recorded.

    Attributes:
        row, text: that a program is at.
        seen: by expression.
        recorded: values by expression, in the order in which they arose.
    """

    def __init__(self) -> None:
        self.row = 0
        self.text = ""
        self.seen: dict[Key, Seen] = {}
        self.recorded: dict[Key, list[object]] = {}

    def lowered(self, key: Key, text: object) -> object:
        """Note what is lowered."""
        if text is not self.text:
            self._of(key).lowers_row = False
        self._of(key)
        return text

    def haystack(self, key: Key, text: object) -> object:
        """Note what is searched."""
        seen = self._of(key)
        if isinstance(text, str):
            seen.searched.add(text)
        else:
            seen.plain = False
        return text

    def needle(self, key: Key, keyword: object) -> object:
        """Note what is searched for."""
        if isinstance(keyword, str):
            self._of(key).keywords.add(keyword)
        else:
            self._of(key).plain = False
        return keyword

    def pattern(self, key: Key, pattern: object) -> object:
        """Note a pattern that is searched for: is it a keyword, at most with ends of words?"""
        if isinstance(pattern, str) and _WORD.fullmatch(pattern):
            self._of(key).keywords.add(re.sub(r"\\b|\\", "", pattern))
        else:
            self._of(key).plain = False
        return pattern

    def value(self, key: Key, value: object) -> object:
        """Note a value that another program may have come to as well."""
        values = self._of(key).values
        if values is not None:
            words = type(value) is list and all(type(word) is str for word in value)
            if self.row in values or value is self.text or not (words or type(value) is str):
                self._of(key).values = None
            else:
                values[self.row] = hash(tuple(value) if isinstance(value, list) else value)
        return value

    def record(self, key: Key, value: object) -> object:
        """Keep a value for the replay."""
        self.recorded.setdefault(key, []).append(_copied(value))
        return value

    def replay(self) -> dict[str, object]:
        """Return the globals of a replay: reads of the next value of each expression."""
        return {
            next_name(key): iter([_copied(value) for value in kept]).__next__ for key, kept in self.recorded.items()
        }

    def _of(self, key: Key) -> Seen:
        return self.seen.setdefault(key, Seen())


def next_name(key: Key) -> str:
    """Name the function that gives an expression's next recorded value."""
    return f"_next_{key[0]}_{key[1]}_{key[2]}"


def _copied(value: object) -> object:
    # A program may change a list that it was given.
    if isinstance(value, list):
        return list(value)
    return set(value) if isinstance(value, set) else value
