"""The modules that a program may import, read by the screen, by the prompts and by the sandbox's child."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Split a list of names that is written as a text."""
    return frozenset(text.split())


WITHHELD: dict[str, tuple[str, ...]] = {
    "re": (), "math": (), "string": ("Formatter",), "unicodedata": (), "collections": (), "itertools": (),
    "functools": (), "statistics": (), "json": ("load", "dump", "detect_encoding"), "datetime": (), "random": (),
    "difflib": (), "textwrap": (), "html": (), "typing": ("get_type_hints",), "decimal": (), "fractions": (),
    "bisect": (), "heapq": (), "copy": (), "enum": (), "operator": ("attrgetter", "methodcaller"), "numbers": (),
    "dataclasses": (), "time": ("sleep",), "collections.abc": (), "urllib.parse": (),
}  # fmt: skip
"""{module: public names that are left out of it}, because they walk attributes by name, touch files or block."""

SAFE_SPECIAL_NAMES = words("__name__ __doc__ __len__ __iter__ __getitem__ __contains__ __call__")
"""Names with underscores that tell nothing about the interpreter, so that programs may ask for them."""
