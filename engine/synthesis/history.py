"""What people did to a program, told by lines of its header: added, edited, disabled.

It stands in the file rather than beside it, so that a program that is copied, mailed or committed takes its history
along, and so that a disabled program stays disabled wherever its folder goes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

_LINE = re.compile(r"# (\S[^:]*):(?: +(.*))?")
_EDITED = re.compile(r"(\d{4}-\d\d-\d\d)(?: by (.*))?, was ([0-9a-f]{8})")
_LASTING = frozenset(
    (
        "task",
        "model",
        "variant",
        "strategy",
        "prompt strategy",
        "prompt digest",
        "tokens in",
        "tokens out",
        "price",
        "added",
        "edited",
    )
)
"""Keys that say where a program comes from: no edit of the code changes that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One edit, as the header tells it.

    Attributes:
        when: year, month and day.
        by: who, None where that is not said.
        was: the first 8 hexadecimal digits of the digest of the source before it.
    """

    when: str
    by: str | None
    was: str


def disabled_reason(header: str) -> str | None:
    """Return why a program is disabled, None if it is not; the first such line counts."""
    for key, value in _values(header):
        if key == "disabled":
            return value or "no reason given"
    return None


def edits(header: str) -> tuple[Edit, ...]:
    """Return the edits of a program, the first one first; lines that are not of our making are passed over."""
    found = (_EDITED.fullmatch(value) for key, value in _values(header) if key == "edited")
    return tuple(Edit(when=m[1], by=m[2], was=m[3]) for m in found if m)


def value_of(header: str, *keys: str) -> str | None:
    """Return what a header says under the first of these keys that it has."""
    said: dict[str, str] = {}
    for key, value in _values(header):
        said.setdefault(key, value)
    return next((said[key] for key in keys if said.get(key)), None)


def disable(header: str, *, reason: str) -> str:
    """Put the line on top that keeps a program from voting."""
    return f"# disabled: {_one_line(reason)}\n{enable(header)}"


def enable(header: str) -> str:
    """Take every such line away; the rest is as it was, to the byte."""
    return "".join(line for line in header.splitlines(keepends=True) if _key(line) != "disabled")


def tell_edit(header: str, *, when: date, by: str | None, was: str) -> str:
    """Add a line on an edit, after those on earlier ones; `was` is the digest of the source before it."""
    name = f" by {_one_line(by)}" if by and _one_line(by) else ""
    return _told(header, f"# edited: {when.isoformat()}{name}, was {was[:8]}\n")


def tell_addition(header: str, *, when: date, source: str) -> str:
    """Add a line on where a program was copied from."""
    return _told(header, f"# added: {when.isoformat()} from {_one_line(source)}\n")


def carry_over(old: str, new: str) -> str:
    """Return the header of an edited program: as its editor left it, with the provenance that it had.

    Args:
        old: header before.
        new: header of the edited file; may lack lines, as a file that was written anew does.
    """
    reason, old, new = disabled_reason(old), enable(old), enable(new)
    before, after = old.splitlines(), new.splitlines()
    lasting = [line for line in before if _key(line) in _LASTING]
    if lasting != [line for line in after if _key(line) in _LASTING]:
        others = [line for line in after if line.strip() and _key(line) not in _LASTING and line not in before]
        new = "\n".join([*old.rstrip().splitlines(), *others, "", ""])
    return new if reason is None else disable(new, reason=reason)


def _told(header: str, line: str) -> str:
    """Put a line below the last one on what people did, or on top."""
    lines = header.splitlines(keepends=True)
    places = [i for i, there in enumerate(lines) if _key(there) in ("added", "edited", "disabled")]
    lines.insert(places[-1] + 1 if places else 0, line)
    return "".join(lines)


def _values(header: str) -> list[tuple[str, str]]:
    matches = (_LINE.fullmatch(line) for line in header.splitlines())
    return [(m[1], (m[2] or "").strip()) for m in matches if m]


def _key(line: str) -> str | None:
    match = _LINE.fullmatch(line.rstrip("\n"))
    return match[1] if match else None


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
