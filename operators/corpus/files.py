"""From what a user names to files: paths, folders, globs, lists of them, and the URLs that fsspec knows."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec
import fsspec.core
import fsspec.utils

from operators.corpus.pieces import Piece
from operators.errors import InputError

FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
"""By suffix; the text formats may have `.gz` behind it."""

_KNOWN = "Parquet (.parquet), CSV (.csv), TSV (.tsv) or JSON lines (.jsonl, .ndjson, .json), text also as .gz"
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of the corpus; the attributes mean what they mean in `Piece`."""

    path: str
    name: str
    format: str
    size: int
    stamp: str


def find_files(sources: Sequence[str], *, base: str) -> list[SourceFile]:
    """Find the files of a corpus: sources in the order given, those of a folder or glob by name.

    In a folder, and among what a glob finds, hidden files and files of unknown formats are passed over.

    Args:
        sources: files, folders, globs, URLs.
        base: folder that names are relative to; a file outside it goes by its whole path.

    Raises:
        InputError: a source leads to no file, or to files of more than one format, or a file is named twice.
    """
    if not sources:
        raise InputError(f"no data is named; give files, folders or globs of {_KNOWN}")
    files: dict[str, SourceFile] = {}
    for source in sources:
        with _explained(source):
            found = _find(source)
        for path, info in found:
            if path in files:
                raise InputError(f"{path} is named twice, the second time by {source}; name each file once")
            files[path] = SourceFile(
                path=path,
                name=_name(path, base),
                format=_format(path),
                size=info["size"] or 0,
                stamp=_stamp(path, info),
            )
    return list(files.values())


def common_folder(sources: Sequence[str]) -> str:
    """Return the folder that holds all sources, whatever is in them today; "" if there is none."""
    folders = []
    for source in sources:
        with _explained(source):
            system, root = fsspec.core.url_to_fs(source)
            parts = PurePosixPath(root).parts
            magic = next((i for i, part in enumerate(parts) if _MAGIC & set(part)), None)
            if magic is not None and not system.exists(root):
                parts = parts[:magic]
            elif not system.isdir(root):
                parts = parts[:-1]
            folders.append(system.unstrip_protocol(str(PurePosixPath(*parts))) if parts else "")
    if not folders:
        return ""
    shared = []
    for parts_of_all in zip(*(folder.split("/") for folder in folders), strict=False):
        if len(set(parts_of_all)) > 1:
            break
        shared.append(parts_of_all[0])
    # Three parts are the protocol and an empty host: nothing but the root is shared.
    return _plain("/".join(shared)) if len(shared) > 3 else ""


def check_unchanged(piece: Piece) -> None:
    """Refuse a file that is no longer the one that was planned.

    Raises:
        InputError: size or stamp differ, or the file is gone.
    """
    with _explained(piece.path):
        system, root = fsspec.core.url_to_fs(piece.path)
        info = system.info(root)
    size, stamp = info["size"] or 0, _stamp(piece.path, info)
    if (size, stamp) != (piece.size, piece.stamp):
        raise InputError(
            f"{piece.path} changed since the corpus was planned ({piece.size} bytes then, {size} now; stamp "
            f"{piece.stamp} then, {stamp} now); restore it or start a new run"
        )


@contextlib.contextmanager
def opened(path: str, *, stamp: str) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes at any place, decompressed.

    The last file stays open in each thread. The shards of a file come one after the other, and to go on in a
    compressed file costs nothing, where a fresh start would decompress all that stands before.

    Args:
        path: of the file.
        stamp: of the file; another stamp is another file.

    Raises:
        InputError: the file cannot be opened or decompressed.
    """
    with _explained(path):
        if getattr(_last, "key", None) != (path, stamp):
            close_last()
            _last.file = fsspec.open(path, "rb", compression="gzip" if path.endswith(".gz") else None).open()
            _last.key = (path, stamp)
        try:
            yield _last.file
        except BaseException:
            close_last()
            raise


def close_last() -> None:
    """Close the file that `opened` keeps open in this thread."""
    if getattr(_last, "key", None) is not None:
        _last.key = None
        _last.file.close()


_last = threading.local()


@contextlib.contextmanager
def _explained(source: str) -> Iterator[None]:
    """Turn what the file systems raise into what a user can mend."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{source}: no such file or folder; correct the path") from None
    except PermissionError as error:
        raise InputError(f"{source}: this user may not read it: {error}") from error
    except ImportError as error:
        raise InputError(f"{source}: {error}") from error
    except (OSError, EOFError) as error:
        raise InputError(f"{source}: cannot be read: {type(error).__name__}: {error}") from error


def _find(source: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        system, root = fsspec.core.url_to_fs(source)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
    if system.isfile(root):
        if _format(root) == "":
            raise InputError(f"{source}: the format is not known by this name; expected {_KNOWN}")
        return [(_plain(system.unstrip_protocol(root)), system.info(root))]
    if system.isdir(root):
        found = system.find(root, detail=True)
        kind = "the folder"
    elif _MAGIC & set(root):
        found = {name: info for name, info in system.glob(root, detail=True).items() if info["type"] == "file"}
        root = str(PurePosixPath(*_before_magic(root)))
        kind = "the glob"
    else:
        raise FileNotFoundError(source)
    visible = {name: info for name, info in found.items() if not _hidden(name, root)}
    known = {name: info for name, info in sorted(visible.items()) if _format(name)}
    if not known:
        others = f", only {', '.join(sorted(visible)[:3])}" if visible else ""
        raise InputError(f"{source}: {kind} leads to no corpus file{others}; expected {_KNOWN}")
    formats = {_format(name): name for name in known}
    if len(formats) > 1:
        raise InputError(
            f"{source}: {kind} leads to files of more than one format ({', '.join(formats.values())}), "
            "perhaps the same rows twice; name the ones you mean with a glob such as *.parquet"
        )
    return [(_plain(system.unstrip_protocol(name)), info) for name, info in known.items()]


def _before_magic(root: str) -> list[str]:
    parts = PurePosixPath(root).parts
    return list(parts[: next(i for i, part in enumerate(parts) if _MAGIC & set(part))])


def _hidden(name: str, root: str) -> bool:
    inner = name.removeprefix(root.rstrip("/") + "/")
    return any(part.startswith((".", "_")) for part in inner.split("/"))


def _format(path: str) -> str:
    name = PurePosixPath(path).name.lower()
    compressed = name.endswith(".gz")
    found = FORMATS.get(PurePosixPath(name.removesuffix(".gz")).suffix, "")
    return "" if compressed and found == "parquet" else found


def _plain(url: str) -> str:
    """Write a local file's URL as the path it is."""
    return url.removeprefix("file://") if url.startswith("file://") else url


def _name(path: str, base: str) -> str:
    return path.removeprefix(base.rstrip("/") + "/") if base else path


def _stamp(path: str, info: dict[str, Any]) -> str:
    if "://" not in path:
        return str(Path(path).stat().st_mtime_ns)
    keys = ("blob_id", "ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated")
    found = next((info[key] for key in (*keys, "created") if info.get(key)), "")
    # Some file systems give a time as a number in a listing and as a date for the file alone.
    return str(found.timestamp() if isinstance(found, datetime.datetime) else found)
