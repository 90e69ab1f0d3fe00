"""A person's editor on a copy of a program, again and again until the program can be used or the person stops."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from engine.errors import ConfigError, ProgramRejected

if TYPE_CHECKING:
    from engine.stages.library import Version
    from engine.stages.program_edits import Change


def edited(before: Version, *, save: Callable[[str], Change]) -> Change:
    """Open the editor on a copy of a program and save what comes of it.

    Args:
        before: the program.
        save: checks and saves a text.

    Raises:
        ConfigError: there is no editor, or it failed; or the text is none that can be saved. What was written is
            kept, and the message says where.
    """
    command = _editor()
    folder = Path(tempfile.mkdtemp(prefix="alchemist-edit-"))
    copy = folder / f"{before.name}.py"
    copy.write_text(before.text, encoding="utf-8", newline="\n")
    while True:
        done = subprocess.run([*command, str(copy)], check=False)
        if done.returncode != 0:
            raise ConfigError(f"{shlex.join(command)} ended with {done.returncode}; the copy is kept in {copy}")
        try:
            change = save(read_text(copy))
        except ProgramRejected as error:
            if not _again(error):
                raise ConfigError(f"{error}; the program is as it was, and your text is kept in {copy}") from error
        except ConfigError as error:
            raise ConfigError(f"{error}; your text is kept in {copy}") from error
        else:
            shutil.rmtree(folder)
            return change


def read_text(path: Path) -> str:
    """Read a file, or standard input for `-`.

    Raises:
        ConfigError: it cannot be read, or is no UTF-8.
    """
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is not UTF-8 at byte {error.start}; save it as UTF-8") from error


def user_name() -> str | None:
    """Return the user's name, None where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry; which one depends on the version of Python
        return None


def _editor() -> list[str]:
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not named and not sys.stdin.isatty():
        raise ConfigError("there is no terminal and $EDITOR is not set; give the new text with --from FILE")
    command = shlex.split(named or "vi")
    if shutil.which(command[0]) is None:
        raise ConfigError(f"there is no editor {command[0]!r}; set $EDITOR, or give the new text with --from FILE")
    return command


def _again(error: ProgramRejected) -> bool:
    sys.stderr.write("This program cannot be used:\n" + "".join(f"  {reason}\n" for reason in error.reasons))
    return sys.stdin.isatty() and typer.confirm("Go on editing?", default=True, err=True)
