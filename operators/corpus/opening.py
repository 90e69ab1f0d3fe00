"""Opening the files of a plan: decompressed, kept open from shard to shard, and refused where they are other files now.

A run may read a file hours after it was planned. Rows of the file as it was and as it is must never stand side by side,
so a reader asks before and after it read whether size and stamp are those of the plan.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import fsspec
import fsspec.core

from operators.corpus.pieces import Piece
from operators.errors import ChangedError, InputError

MAX_ROW_BYTES = 64 << 20
"""Of one row. What is larger is a quote that never ends or a file without line breaks, and no text for a program."""

Damage = (OSError, EOFError, zlib.error)
"""What reading a damaged or truncated file raises."""

_AGAIN = "run again: the files are planned as they are now, and what did not change is not computed again"


def check_unchanged(piece: Piece) -> None:
    """Refuse a file that is no longer the one that was planned.

    Raises:
        ChangedError: size or stamp differ, or the file is gone.
    """
    try:
        with explained(piece.path):
            size, stamp = state_of(piece.path)
    except FileNotFoundError:
        raise gone(piece.path) from None
    if (size, stamp) != (piece.size, piece.stamp):
        raise ChangedError(
            f"{piece.path} changed since the corpus was planned: expected {piece.size} bytes with stamp {piece.stamp}, "
            f"found {size} bytes with stamp {stamp}; {_AGAIN}"
        )


def gone(path: str) -> ChangedError:
    """Make the error of a file that was there when the corpus was planned."""
    return ChangedError(f"{path} is gone since the corpus was planned; put it back, or {_AGAIN}")


def state_of(path: str) -> tuple[int, str]:
    """Ask for size and stamp of a file as they are at this moment.

    Raises:
        FileNotFoundError: it is gone.
    """
    if "://" not in path:
        # Not by fsspec, which takes ten times as long; a shard may have ten thousand files.
        stat = os.stat(path)  # noqa: PTH116
        return stat.st_size, str(stat.st_mtime_ns)
    system, root = fsspec.core.url_to_fs(path)
    # Some systems answer from a listing made when the corpus was planned.
    system.invalidate_cache(root)
    info = system.info(root)
    return info["size"] or 0, stamp_of(info)


def stamp_of(info: dict[str, Any]) -> str:
    """Return what changes with a file, from what a file system that is not local says of it."""
    keys = ("blob_id", "ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated")
    found = next((info[key] for key in (*keys, "created") if info.get(key)), "")
    # Some file systems give a time as a number in a listing and as a date for the file alone.
    return str(found.timestamp() if isinstance(found, datetime.datetime) else found)


@contextlib.contextmanager
def opened(path: str, *, stamp: str) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes at any place, decompressed.

    The last file stays open in each thread. The shards of a file come one after the other, and to go on in a
    compressed file costs nothing, where a fresh start would decompress all that stands before.

    Args:
        path: of a file that was planned, or is.
        stamp: of the file; another stamp is another file.

    Raises:
        ChangedError: the file is gone.
        InputError: the file cannot be opened or decompressed.
    """
    try:
        with explained(path):
            if getattr(_last, "key", None) != (path, stamp):
                close_last()
                _last.file = _open(path)
                _last.key = (path, stamp)
            try:
                yield _last.file
            except BaseException:
                close_last()
                raise
    except FileNotFoundError:
        raise gone(path) from None


def lines_of(source: IO[bytes], *, where: Callable[[], str]) -> Iterator[bytes]:
    """Read line by line, with what ends a line; `where` names the row for a message.

    Raises:
        InputError: the file is damaged or cut off, or a line is longer than a row may be.
    """
    try:
        for line in iter(functools.partial(source.readline, MAX_ROW_BYTES + 1), b""):
            if len(line) > MAX_ROW_BYTES:
                raise too_large(where())
            yield line
    except FileNotFoundError:
        raise
    except Damage as error:
        raise InputError(
            f"{where()}: the file is damaged or cut off here ({type(error).__name__}: {error}); copy it again"
        ) from error


def too_large(where: str) -> InputError:
    """Make the error of a row above the limit."""
    return InputError(
        f"{where}: the row is larger than {MAX_ROW_BYTES >> 20} MB, the most that a row may have; split its text into "
        "rows, or look for a quote that is never closed or for missing line breaks"
    )


def close_last() -> None:
    """Close the file that `opened` keeps open in this thread."""
    if getattr(_last, "key", None) is not None:
        _last.key = None
        _last.file.close()


_last = threading.local()


@contextlib.contextmanager
def explained(source: str) -> Iterator[None]:
    """Turn what the file systems raise into what a user can mend; that a file is not there is left to the caller."""
    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise InputError(f"{source}: this user may not read it: {error}") from error
    except ImportError as error:
        raise InputError(f"{source}: {error}") from error
    except Damage as error:
        raise InputError(f"{source}: cannot be read: {type(error).__name__}: {error}") from error


def _open(path: str) -> IO[bytes]:
    file: IO[bytes] = fsspec.open(path, "rb", compression="gzip" if path.endswith(".gz") else None).open()
    return file
