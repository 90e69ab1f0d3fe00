"""Labeling programs as values: read from files or answers, screened, told apart by a digest, saved.

A file is a header of comments (the provenance) and the source after it. The digest covers the source alone,
so that a note in the header recomputes no votes, while any other edit, a comment in the code included,
does: to know that an edit changes nothing would mean to understand it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigError, ProgramRejected
from engine.synthesis.answers import MAX_ANSWER_CHARS, candidates, why_none
from engine.synthesis.history import disabled_reason
from engine.synthesis.provenance import Provenance, read_header
from operators.commit import commit
from operators.sandbox.screen import screen

_HEADER = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A labeling program that passed the screen.

    Attributes:
        name: file name without `.py`.
        source: the code after the header; ends with a newline.
        header: the comments and blank lines above it, "" or ended with a newline.
    """

    name: str
    source: str
    header: str = ""

    @property
    def digest(self) -> str:
        """Sha256 of the source; what the votes of this program are kept under."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def disabled(self) -> str | None:
        """Why it is kept and not used, None if it is used."""
        return disabled_reason(self.header)

    @property
    def text(self) -> str:
        """The program as saved."""
        return self.header + self.source


def from_text(name: str, text: str) -> Program:
    """Read a program from the text of its file.

    Line ends and the blank lines at the end are normalised; nothing else is changed.

    Raises:
        ProgramRejected: the screen finds problems; each is one of the reasons, with its line in `text`.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"a program's name is a file name of letters, digits, `.`, `_` and `-`, got {name!r}")
    header, source = split(text)
    try:
        (header + source).encode()
    except UnicodeEncodeError as error:
        raise ProgramRejected(name, (f"character {error.start} is no valid Unicode",)) from None
    # Blank lines in place of the header make the screen count lines as the file does.
    problems = screen("\n" * header.count("\n") + source).problems
    if problems:
        raise ProgramRejected(name, problems)
    return Program(name=name, source=source, header=header)


def split(text: str) -> tuple[str, str]:
    """Cut the text of a file into header and source, with line ends normalised; whether it is a program or not."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = text.rstrip() + "\n"
    found = _HEADER.match(text)
    cut = found.end() if found else 0
    return text[:cut], text[cut:]


def from_completion(name: str, completion: str, *, header: str = "") -> Program:
    """Take the program out of a language model's answer.

    Args:
        name: of the new program.
        completion: the answer: code in fences or bare, with or without prose around it.
        header: comment lines to put above the code.

    Raises:
        ProgramRejected: the answer holds no `label_function`, or none that passes the screen.
    """
    if len(completion) > MAX_ANSWER_CHARS:
        raise ProgramRejected(
            name, (f"the answer is {len(completion)} characters long; {MAX_ANSWER_CHARS} are read at most",)
        )
    found = candidates(completion)
    if not found:
        raise ProgramRejected(name, (why_none(completion),))
    rejected: ProgramRejected | None = None
    for candidate in found:
        try:
            return from_text(name, _joined(header, candidate.source))
        except ProgramRejected as error:
            if rejected is None:
                cut = () if candidate.closed else ("the code block has no end: the answer seems cut off",)
                rejected = ProgramRejected(name, error.reasons + cut)
    assert rejected is not None  # there was a candidate, and it did not return
    raise rejected


def load_folder(folder: str | Path) -> tuple[tuple[Program, ...], tuple[ProgramRejected, ...]]:
    """Read every `*.py` file of a folder, sorted by name.

    Returns:
        the programs, disabled ones among them, and the files that are none with the reasons; of two with the same
        digest the second is rejected, since its votes would count twice. A disabled program is nobody's twin.

    Raises:
        ConfigError: the folder does not exist, holds no `*.py` file, or one that cannot be opened.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder of programs")
    paths = sorted(path for path in folder.glob("*.py") if path.is_file())
    if not paths:
        raise ConfigError(f"{folder}: no programs in it; a program is a `*.py` file that defines `label_function`")
    programs: list[Program] = []
    active: dict[tuple[str, str], Program] = {}
    rejected = []
    for path in paths:
        try:
            program = _read(path)
        except ProgramRejected as error:
            rejected.append(error)
            continue
        twin = (
            program
            if program.disabled is not None
            else active.setdefault((program.digest, _concepts(program)), program)
        )
        if twin is program:
            programs.append(program)
        else:
            rejected.append(ProgramRejected(program.name, (f"it is the same program as {twin.name}",)))
    return tuple(programs), tuple(rejected)


def write(program: Program, folder: str | Path) -> Path:
    """Save a program as `<name>.py`; the file is there whole or not at all.

    Returns:
        its path.
    """
    path = Path(folder) / f"{program.name}.py"
    commit(path, lambda attempt: attempt.write_text(program.text, encoding="utf-8", newline="\n"), replace=True)
    return path


def provenance(program: Program) -> Provenance:
    """Return what the header says about where a program comes from; what it does not say is None."""
    return read_header(program.header)


def _read(path: Path) -> Program:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if _NAME.fullmatch(path.stem) is None:
        raise ProgramRejected(path.stem, ("its file name has other than letters, digits, `.`, `_` and `-`",))
    try:
        return from_text(path.stem, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ProgramRejected(path.stem, (f"it is not UTF-8 at byte {error.start}; save it as UTF-8",)) from None


def _concepts(program: Program) -> str:
    """Return what its header says it reads of an image: the same comparison of other scores is another program."""
    lines = (line.removeprefix("#").strip() for line in program.header.splitlines())
    return next((line for line in lines if line.startswith("concepts:")), "")


def _joined(header: str, source: str) -> str:
    return f"{header.rstrip()}\n\n{source.strip(chr(10))}" if header.strip() else source.strip("\n")
