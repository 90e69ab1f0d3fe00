"""From what a user names to files: paths, folders, globs, lists of them, and the URLs that fsspec knows."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import fsspec.core

from operators.corpus import images
from operators.corpus.opening import explained, gone, stamp_of, state_of
from operators.errors import InputError

logger = logging.getLogger(__name__)

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
_IMAGES = f"images ({', '.join(sorted(images.SUFFIXES))}), or a table of images with `columns.image`"
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of the corpus; the attributes mean what they mean in `Piece`."""

    path: str
    name: str
    format: str
    size: int
    stamp: str


def find_files(
    sources: Sequence[str], *, base: str, skipped: dict[str, str] | None = None, of_images: bool = False
) -> list[SourceFile]:
    """Find the files of a corpus: sources in the order given, those of a folder or glob by name.

    In a folder, and among what a glob finds, hidden files and files of unknown formats are passed over. Links to files
    are files; a link to a folder inside a folder is not followed, since it may lead back.

    Args:
        sources: files, folders, globs, URLs.
        base: folder that names are relative to; a file outside it goes by its whole path.
        skipped: takes {path: why} of what is named like a file of the corpus and is none, such as a pipe or a link
            that leads nowhere; without it that is an error.
        of_images: the files are images, and nothing else is a file of the corpus.

    Raises:
        InputError: a source leads to no file, or to files of more than one format, or a file is named twice.
        ChangedError: a file went away while it was looked at.
    """
    if not sources:
        raise InputError(f"no data is named; give files, folders or globs of {_IMAGES if of_images else _KNOWN}")
    files: dict[str, SourceFile] = {}
    for source in sources:
        try:
            with explained(source):
                found = _find(source, skipped, _image_format if of_images else _format)
        except FileNotFoundError:
            raise InputError(f"{source}: no such file or folder; correct the path") from None
        for path, info in found:
            if path in files:
                raise InputError(f"{path} is named twice, the second time by {source}; name each file once")
            size, stamp = _state(path, info)
            kind = images.FORMAT if of_images else _format(path)
            files[path] = SourceFile(path=path, name=_name(path, base), format=kind, size=size, stamp=stamp)
    return list(files.values())


def common_folder(sources: Sequence[str]) -> str:
    """Return the folder that holds all sources, whatever is in them today; "" if there is none."""
    folders = []
    for source in sources:
        with explained(source):
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


def _state(path: str, info: dict[str, Any]) -> tuple[int, str]:
    if "://" in path:
        return info["size"] or 0, stamp_of(info)
    try:
        with explained(path):
            return state_of(path)
    except FileNotFoundError:
        raise gone(path) from None


def _find(
    source: str, skipped: dict[str, str] | None, format_of: Callable[[str], str]
) -> list[tuple[str, dict[str, Any]]]:
    expected = _IMAGES if format_of is _image_format else _KNOWN
    try:
        system, root = fsspec.core.url_to_fs(source)
    except ValueError as error:
        raise InputError(f"{source}: {error}") from error
    if system.isfile(root):
        if format_of(root) == "":
            raise InputError(f"{source}: the format is not known by this name; expected {expected}")
        return [(_plain(system.unstrip_protocol(root)), system.info(root))]
    if system.isdir(root):
        found = system.find(root, detail=True)
        kind = "the folder"
    elif _MAGIC & set(root):
        found = system.glob(root, detail=True)
        root = str(PurePosixPath(*_before_magic(root)))
        kind = "the glob"
    elif system.exists(root):
        raise InputError(f"{source}: {_NO_FILE}")
    else:
        raise FileNotFoundError(source)
    visible = {}
    for name, info in sorted(found.items()):
        if _hidden(name, root):
            continue
        trouble = "" if info["type"] == "file" else _trouble(name, info)
        if not trouble:
            visible[name] = info
        elif not format_of(name):
            if trouble == _LINKED_FOLDER:
                logger.warning("%s: %s", name, trouble)
        elif skipped is None:
            raise InputError(f"{name}: {trouble}")
        else:
            skipped[name] = f"{name}: {trouble}"
    known = {name: info for name, info in visible.items() if format_of(name)}
    if not known:
        others = f", only {', '.join(sorted(visible)[:3])}" if visible else ""
        raise InputError(f"{source}: {kind} leads to no corpus file{others}; expected {expected}")
    formats = {format_of(name): name for name in known}
    if len(formats) > 1:
        raise InputError(
            f"{source}: {kind} leads to files of more than one format ({', '.join(formats.values())}), "
            "perhaps the same rows twice; name the ones you mean with a glob such as *.parquet"
        )
    return [(_plain(system.unstrip_protocol(name)), info) for name, info in known.items()]


_NO_FILE = "a pipe, socket or device, not a file; write what comes out of it to a file and name that"
_LINKED_FOLDER = (
    "a link to a folder, which is not followed; name the folder itself beside the others, or remove the link"
)


def _trouble(name: str, info: dict[str, Any]) -> str:
    """Say what hinders reading something that is listed as no plain file; nothing where it is a link to one."""
    if info["type"] == "directory":
        return "a folder that is named like a file; name it by itself, or end the glob with /**"
    if info.get("islink"):
        try:
            mode = os.stat(name).st_mode  # noqa: PTH116 - ten times as fast as a Path's
        except OSError as error:
            return f"a link that leads to no file ({error.strerror}); mend or remove it"
        if stat.S_ISDIR(mode):
            return _LINKED_FOLDER
        if stat.S_ISREG(mode):
            return ""
    return _NO_FILE


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


def _image_format(path: str) -> str:
    return images.FORMAT if PurePosixPath(path.lower()).suffix in images.SUFFIXES else ""


def _plain(url: str) -> str:
    """Write a local file's URL as the path it is."""
    return url.removeprefix("file://") if url.startswith("file://") else url


def _name(path: str, base: str) -> str:
    return path.removeprefix(base.rstrip("/") + "/") if base else path
