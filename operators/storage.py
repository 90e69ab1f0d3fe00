"""Where shard files stand: a folder that all workers see, or a prefix in an object store.

On a cluster whose nodes share no file system the workers have an object store in common and nothing else. Operators
name their files by `/` from a folder in both cases; what differs is here, so that local files keep their one way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from operators.errors import InputError

Folder: TypeAlias = Path | UPath
"""A folder or a file; a `Path` wherever the file is a local one."""

ATOMIC_PUT = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "memory": "fsspec",
}
"""Protocols whose stores show an object whole or not at all, and the package with the driver of each.

Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage: an upload, in one part or in many,
becomes visible when it is complete. `memory` is for tests of one process.
"""

_LOCAL = ("file", "local")
_REQUESTS = 32
"""Under way at a time: a round trip takes some 20 ms, and a driver may have to read a footer a shard."""

_T = TypeVar("_T")
_P = TypeVar("_P", bound=Folder)


def folder_of(place: str) -> Folder:
    """Return the folder that a path or an fsspec URL names; file:// leads to a plain path.

    Credentials and endpoints come from the environment, as the drivers of fsspec read them.

    Raises:
        InputError: the store is none that shows objects whole or not at all, or its driver is not installed.

    Example:
        >>> folder_of("file:///data/run"), folder_of("memory://run").name
        (PosixPath('/data/run'), 'run')
    """
    protocol, separator, rest = place.partition("://")
    if not separator:
        return Path(place)
    if protocol in _LOCAL:
        return Path(rest)
    if protocol not in ATOMIC_PUT:
        raise InputError(
            f"{place}: shard files cannot be kept in {protocol}://, whose files may be seen half-written; expected a "
            f"path, or a URL of {', '.join(name for name in ATOMIC_PUT if name != 'memory')}"
        )
    # Listings are made anew each time: other processes write here, and a remembered listing would hide their files.
    folder = UPath(place, use_listings_cache=False)
    try:
        _ = folder.fs
    except ImportError as error:
        raise InputError(
            f"{place}: the driver for {protocol}:// is not installed, on this node at least; on all nodes: "
            f"pip install {ATOMIC_PUT[protocol]} ({error})"
        ) from error
    return folder


def is_local(path: Folder) -> bool:
    """Say whether a file is one of this machine's file systems, network mounts among them."""
    return isinstance(path, Path)


def names_in(folder: Folder) -> frozenset[str]:
    """List the names in a folder, none where it does not exist; one listing is far cheaper than a look a file."""
    try:
        if isinstance(folder, Path):
            return frozenset(path.name for path in folder.iterdir())
        return frozenset(str(name).rstrip("/").rpartition("/")[2] for name in folder.fs.ls(folder.path, detail=False))
    except FileNotFoundError:
        return frozenset()


def map_files(read: Callable[[_P], _T], paths: Sequence[_P]) -> Iterator[_T]:
    """Call `read` with each path and give the results in order; objects of a store are read some at a time."""
    if not paths or isinstance(paths[0], Path):
        yield from map(read, paths)
        return
    with ThreadPoolExecutor(min(_REQUESTS, len(paths))) as pool:
        yield from pool.map(read, paths)


def read_table(path: Folder, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file; an object comes whole in one request, as shard files are of a few megabytes.

    Raises:
        FileNotFoundError: there is none.
    """
    source = path if isinstance(path, Path) else pa.BufferReader(path.read_bytes())
    return pq.read_table(source, columns=None if columns is None else list(columns))


def read_metadata(path: Folder) -> pq.FileMetaData:
    """Read the footer of a Parquet file, and of an object only its end.

    Raises:
        FileNotFoundError: there is none.
    """
    if isinstance(path, Path):
        return pq.read_metadata(path)
    with path.open("rb") as file:
        return pq.read_metadata(file)


def read_schema(path: Folder) -> pa.Schema:
    """Read the schema in the footer of a Parquet file, with the values that stand beside it.

    Raises:
        FileNotFoundError: there is none.
    """
    if isinstance(path, Path):
        return pq.read_schema(path)
    with path.open("rb") as file:
        return pq.read_schema(file)
