"""The text of a saved web page, line by line of its file; what a reader of the page never sees is left out."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "object", "select"})
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "fieldset", "figcaption"),
        *("figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol"),
        *("p", "pre", "section", "table", "title", "tr", "ul"),
    }
)
_CELLS = frozenset({"td", "th"})
_CLOSED = frozenset({"div", "span", "section", "article", "aside", "nav", "ul", "ol", "table", "a", "b", "i", "form"})
"""Tags that authors close; a hidden <p> or <li> may be left open, and would hide the rest of the page."""

_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?([A-Za-z0-9_-]+)", re.IGNORECASE)


def charset_of(content: bytes) -> str:
    """Return the encoding that a page declares in its first bytes; UTF-8 where it declares none."""
    if content.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    found = _CHARSET.search(content[:4096])
    return found[1].decode("ascii") if found else "utf-8-sig"


def text_of(page: str) -> list[tuple[int, str]]:
    r"""Return (line in the file, text) for each block of a page that has text.

    Example:
        >>> text_of("<p>One<script>two()</script>\n<b>three</b>")
        [(1, 'One three')]
    """
    parser = _Text()
    parser.feed(page)
    parser.close()
    parser.end_block()
    return parser.blocks


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[tuple[int, str]] = []
        self._parts: list[str] = []
        self._line = 1
        self._unseen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unseen:
            # Of the same kind alone: other tags inside may be left open for good.
            if tag == self._unseen[0]:
                self._unseen.append(tag)
            return
        if tag in _UNSEEN or (tag in _CLOSED and _hidden(dict(attrs))):
            self._unseen.append(tag)
        elif tag in _BLOCKS:
            self.end_block()
        elif tag in _CELLS:
            self._parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._unseen and tag in _BLOCKS:
            self.end_block()

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            if tag == self._unseen[-1]:
                self._unseen.pop()
        elif tag in _BLOCKS:
            self.end_block()

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if not self._parts and data.strip():
            self._line = self.getpos()[0] + data[: len(data) - len(data.lstrip())].count("\n")
        if self._parts or data.strip():
            self._parts.append(data)

    def end_block(self) -> None:
        text = " ".join("".join(self._parts).split())
        if text:
            self.blocks.append((self._line, text))
        self._parts = []


def _hidden(attrs: dict[str, str | None]) -> bool:
    style = (attrs.get("style") or "").replace(" ", "").lower()
    return "hidden" in attrs or "display:none" in style or "visibility:hidden" in style
