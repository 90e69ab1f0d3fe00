"""Where a program comes from, written as comments at its top and read back from there.

The file of a program is what people read, mail and edit, so its history travels inside it rather than
beside it. What a header does not say is None (unknown), never zero. Nothing in it depends on the clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.synthesis.prompts import Prompt

_LINE = re.compile(r"# (\S[^:]*): +(.*)")
_TOKENS = re.compile(r"(\d+)( \(estimated\))?")
_PRICE = re.compile(r"(\d+(?:\.\d+)?) (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How a program came to be, as far as its header says.

    Attributes:
        model: the language model that wrote it.
        prompt_digest: sha256 of the prompt, hexadecimal.
        tokens_in: of the request that bought it.
        tokens_out: of the request that bought it.
        price: of the request, in `currency`.
    """

    model: str | None
    prompt_digest: str | None
    tokens_in: int | None
    tokens_out: int | None
    price: float | None
    currency: str | None


def header(
    *,
    task: str,
    variant: int,
    prompt: Prompt,
    model: str,
    tokens_in: int,
    tokens_out: int,
    tokens_estimated: bool,
    cost: float | None,
    currency: str | None,
) -> str:
    """Write the header of a program that a language model wrote.

    Returns:
        comment lines, each ended by a newline.
    """
    estimated = " (estimated)" if tokens_estimated else ""
    # Twelve decimals: the cheapest token of today is worth some 1e-8.
    price = "unknown" if cost is None else f"{cost:.12f}".rstrip("0").rstrip(".") + f" {currency}"
    lines = [
        f"# task: {_one_line(task)}",
        f"# model: {_one_line(model)}",
        f"# variant: {variant}",
        f"# prompt digest: {prompt.digest}",
        f"# tokens in: {tokens_in}{estimated}",
        f"# tokens out: {tokens_out}{estimated}",
        f"# price: {price}",
        "# prompt, system part:",
        *(_quoted(line) for line in prompt.system.splitlines()),
        "# prompt, user part:",
        *(_quoted(line) for line in prompt.user.splitlines()),
    ]
    return "\n".join(lines) + "\n"


def read_header(text: str) -> Provenance:
    """Read what `header` wrote, or what is left of it; of a key that stands twice, the first line counts."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            values.setdefault(match[1], match[2].strip())
    price = _PRICE.fullmatch(values.get("price", ""))
    return Provenance(
        model=values.get("model"),
        prompt_digest=values.get("prompt digest"),
        tokens_in=_tokens(values.get("tokens in", "")),
        tokens_out=_tokens(values.get("tokens out", "")),
        price=float(price[1]) if price else None,
        currency=price[2] if price else None,
    )


def _tokens(value: str) -> int | None:
    match = _TOKENS.fullmatch(value)
    return int(match[1]) if match else None


def _one_line(text: str) -> str:
    return " ".join(_printable(text).split())


def _quoted(line: str) -> str:
    # Three blanks keep quoted lines apart from keys, whatever the prompt says.
    return f"#   {_printable(line)}".rstrip()


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
