"""Files that are either whole or not there.

A stage may be killed at any moment and run again. What it leaves must then be a finished file or nothing that
anybody reads, so a file is written beside its place, brought to the disk and renamed. An object store has no rename
and needs none: there a file is written on this machine's disk and put in its place by one upload.
"""

from __future__ import annotations

import errno
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from operators.errors import InputError
from operators.storage import Folder

_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "it is read-only",
}


def commit(path: Folder, write: Callable[[Path], object], *, replace: bool = False) -> None:
    """Write a file so that it appears under its name whole or not at all; one that is there is left alone.

    The name must say everything that determines the content: that is what makes leaving it alone right. Files
    whose name does not, such as run.json, are replaced.

    In an object store this rests on the store: an upload, in one part or in many, is seen when it is complete. That
    holds for Amazon S3 and what speaks its protocol, Google Cloud Storage and Azure Blob Storage, and
    `operators.storage.folder_of` admits no others. Two workers that upload the same file upload the same bytes.

    Args:
        path: where the file goes; its folder is made if need be.
        write: writes the file at the local path that it is given.
        replace: put the new file in the place of one that is there.

    Raises:
        InputError: there is no room, or no right to write, at `path`.
    """
    if path.exists() and not replace:
        return
    if not isinstance(path, Path):
        with no_room_named(path), tempfile.TemporaryDirectory() as scratch:
            attempt = Path(scratch) / path.name
            write(attempt)
            path.fs.put_file(str(attempt), path.path)
        return
    attempt = path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex[:12]}")
    with no_room_named(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(attempt)
            flush(attempt)
            attempt.replace(path)
            if replace:
                # Nothing else tells that a new file under an old name has to be made again. A new name that a power
                # cut takes back is a file that is not there, which costs its computation and no wait for each file.
                flush(path.parent)
        finally:
            attempt.unlink(missing_ok=True)


@contextmanager
def no_room_named(path: Folder) -> Iterator[None]:
    """Turn the errors of a full or closed disk into one that names `path`.

    Raises:
        InputError: there is no room, or no right to write.
    """
    try:
        yield
    except OSError as error:
        reason = _NO_ROOM.get(error.errno or 0)
        if isinstance(error, PermissionError):
            reason = "this user may not write there"
        if reason is None:
            raise
        raise InputError(f"{path}: cannot be written, {reason}; make room or choose another folder") from error


def commit_table(path: Folder, table: pa.Table, *, replace: bool = False) -> None:
    """Commit a table as Parquet; `replace` as for `commit`.

    Raises:
        InputError: as `commit`.
    """
    commit(path, lambda attempt: pq.write_table(table, attempt, compression="zstd"), replace=replace)


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
