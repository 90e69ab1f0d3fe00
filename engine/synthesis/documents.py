"""The user's documents as passages that know where they stand: "guide.pdf, page 3", "notes.md, lines 4-9".

Text, Markdown, CSV and saved web pages are read with the standard library, PDF with pypdf (the extra `rag`). A file
that cannot be read is an error that names it, never a passage less: the user counts on what it says.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigError
from engine.synthesis.web_page import charset_of, text_of

MAX_BYTES = 64 << 20
"""Of one file; a book has one or two."""

_UNITS = {".txt": "line", ".md": "line", ".markdown": "line", ".csv": "row", ".tsv": "row", ".html": "line"}
_UNITS |= {".htm": "line", ".pdf": "page"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A stretch of a document.

    Attributes:
        source: the file's name and where in it the passage stands, in words.
    """

    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    text: str
    number: int
    glue: str
    """What stands between it and the piece before."""


def find_documents(paths: Sequence[str]) -> list[Path]:
    """List the files that paths name; a folder stands for the documents in it, by name.

    Raises:
        ConfigError: a file or folder is missing, holds no document, or is of a kind that cannot be read.
    """
    found: dict[Path, None] = {}
    for name in paths:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in _UNITS)
            if not inside:
                raise ConfigError(f"{path}: no document in this folder; expected {_kinds()}")
            found |= dict.fromkeys(inside)
            continue
        if not path.is_file():
            raise ConfigError(f"{path}: no such document; correct `synthesis.documents`")
        if path.suffix.lower() not in _UNITS:
            raise ConfigError(f"{path}: documents of this kind cannot be read; expected {_kinds()}")
        found[path] = None
    return list(found)


def read_passages(path: Path, *, max_chars: int, overlap: int) -> list[Passage]:
    """Read a document and cut it into passages.

    Args:
        path: of a kind that `find_documents` takes.
        max_chars: of a passage.
        overlap: characters that a passage repeats of the one before it, at most.

    Returns:
        in the order of the document, at least one.

    Raises:
        ConfigError: the file cannot be read or holds no text; the message names it, and the page or line.
    """
    unit = _UNITS[path.suffix.lower()]
    numbered = [(number, " ".join(text.split())) for number, text in _numbered(path)]
    pieces = [piece for number, text in numbered for piece in _cut(text, number, max_chars=max_chars, overlap=overlap)]
    if not pieces:
        hint = "; are its pages pictures? Run a text recognition over it first" if unit == "page" else ""
        raise ConfigError(f"{path}: there is no text in it{hint}")
    return [
        Passage(text=_joined(run), source=f"{path.name}, {_place(unit, run)}")
        for run in _runs(pieces, max_chars=max_chars, overlap=overlap)
    ]


def _numbered(path: Path) -> Iterator[tuple[int, str]]:
    content = _bytes(path)
    match path.suffix.lower():
        case ".pdf":
            yield from _pages(path, content)
        case ".csv" | ".tsv" as kind:
            yield from _rows(path, _decoded(path, content), delimiter="\t" if kind == ".tsv" else ",")
        case ".html" | ".htm":
            yield from text_of(_decoded(path, content, encoding=charset_of(content)))
        case _:
            # Not splitlines: a form feed ends no line in an editor, whose numbers people look up.
            yield from enumerate(_decoded(path, content).replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1)


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigError(f"{path}: {size >> 20} MB, and {MAX_BYTES >> 20} is the most; give the part that matters")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _decoded(path: Path, content: bytes, *, encoding: str = "utf-8-sig") -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: not {encoding.removesuffix('-sig')}; save the file as UTF-8") from None
    except LookupError:
        raise ConfigError(
            f"{path}: it says its encoding is {encoding!r}, which is not known; save it as UTF-8"
        ) from None


def _rows(path: Path, text: str, *, delimiter: str) -> Iterator[tuple[int, str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        for number, row in enumerate(reader, start=1):
            names = [*header, *(f"column {i + 1}" for i in range(len(header), len(row)))]
            yield (
                number,
                "; ".join(f"{name}: {value}" for name, value in zip(names, row, strict=False) if value.strip()),
            )
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num}: not {delimiter!r}-separated: {error}") from error


def _pages(path: Path, content: bytes) -> Iterator[tuple[int, str]]:
    try:
        from pypdf import PdfReader
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise ConfigError(
            f"{path}: PDF is read with the extra `rag`; pip install 'alchemist-labeling[rag]', or save it as text"
        ) from error
    # Damaged files break pypdf in many ways; each is a file that cannot be read.
    broken = (
        PyPdfError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        NotImplementedError,
        RecursionError,
        OSError,
    )
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ConfigError(f"{path}: it is locked with a password; save it without one")
        count = len(reader.pages)
    except broken as error:
        raise ConfigError(f"{path}: cannot be read as PDF: {error}") from error
    for number in range(count):
        try:
            text = reader.pages[number].extract_text()
        except broken as error:
            raise ConfigError(f"{path}, page {number + 1}: cannot be read: {error}") from error
        yield number + 1, text


def _cut(text: str, number: int, *, max_chars: int, overlap: int) -> Iterator[_Piece]:
    """Cut a line, row or page into pieces between words, small enough for the overlap to hold one or more."""
    limit = max_chars if len(text) <= (overlap or max_chars) else min(max_chars, max(40, overlap // 2))
    glue, words = "\n", text.split(" ")
    part = ""
    for word in words:
        while len(word) > limit:  # no blanks: a table without spaces, or a script that has none
            if part:
                yield _Piece(text=part, number=number, glue=glue)
                glue = " "
            yield _Piece(text=word[:limit], number=number, glue=glue)
            part, word, glue = "", word[limit:], ""
        if part and len(part) + 1 + len(word) > limit:
            yield _Piece(text=part, number=number, glue=glue)
            part, glue = word, " "
        else:
            part = f"{part} {word}" if part else word
    if part:
        yield _Piece(text=part, number=number, glue=glue)


def _runs(pieces: Sequence[_Piece], *, max_chars: int, overlap: int) -> Iterator[list[_Piece]]:
    run: list[_Piece] = []
    fresh = 0
    for piece in pieces:
        if run and len(_joined([*run, piece])) > max_chars:
            yield run
            kept: list[_Piece] = []
            for last in reversed(run):
                longer = [last, *kept]
                if len(_joined(longer)) > overlap or len(_joined([*longer, piece])) > max_chars:
                    break
                kept = longer
            run, fresh = kept, 0
        run.append(piece)
        fresh += 1
    if fresh:
        yield run


def _joined(run: Sequence[_Piece]) -> str:
    return "".join(piece.glue + piece.text if i else piece.text for i, piece in enumerate(run))


def _place(unit: str, run: Sequence[_Piece]) -> str:
    first, last = run[0].number, run[-1].number
    return f"{unit} {first}" if first == last else f"{unit}s {first}-{last}"


def _kinds() -> str:
    return ", ".join(sorted(_UNITS))
