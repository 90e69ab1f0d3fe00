"""Where a run keeps its shard files: in its own directory, or in a folder or an object store that all nodes reach.

Names of shard files hold the digest of all that changes their content, so two runs in one place would never read
wrong bytes. But each deletes what belongs to no state of its own, and `labels/` is read as one dataset: a place is
therefore one run's, and a marker in it says whose.
"""

from __future__ import annotations

import json
import shutil
import socket
import uuid
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from engine.errors import ConfigError
from engine.store import RunDirectory
from operators.commit import commit
from operators.errors import InputError
from operators.storage import Folder, folder_of, map_files, names_in

MARKER = "alchemist-run.json"


def place_shards(run: RunDirectory, storage: str | None) -> Folder:
    """Settle where the shard files of a run stand, and write it down.

    Args:
        run: open.
        storage: a path or an fsspec URL; None for where the run has them, the run directory at first.

    Raises:
        ConfigError: the run has its files elsewhere, the place is another run's, or it cannot be used.
    """
    noted: str | None = run.noted("storage")
    began = run.noted("task") is not None or run.noted("data") is not None
    if storage is None:
        storage = noted
    elif "://" not in storage:
        storage = str(Path(storage).expanduser().resolve())
    if storage == str(run.path):
        storage = None
    if began and storage != noted:
        raise ConfigError(
            f"{run.path}: this run keeps its shard files in {noted or 'its own directory'}, and is now told "
            f"{storage}; leave `storage` as it was, or start another run with --out"
        )
    if storage is None:
        run.note(storage=None)
        return run.path
    try:
        folder = folder_of(storage)
    except InputError as error:
        raise ConfigError(str(error)) from error
    # Before the marker, so that a run that dies between the two knows the marker as its own.
    identity: str = run.noted("identity") or uuid.uuid4().hex
    run.note(identity=identity)
    _mark(folder, run, identity)
    run.note(storage=storage)
    return folder


def shards_of(run: Path, storage: str | None) -> Folder:
    """Return where the shard files of a run stand, by what its run.json notes."""
    return run if storage is None else folder_of(storage)


def keep_only(folder: Folder, paths: Iterable[Folder]) -> None:
    """Delete the files of a folder that are not among `paths`: results of an earlier state of the run."""
    wanted = {path.name for path in paths}
    stale = [folder / name for name in names_in(folder) - wanted]
    for _ in map_files(_delete, stale):
        pass


def for_workers(run: RunDirectory, model: Path, *, digest: str, names: Iterable[str]) -> str:
    """Return where workers read a model: its own folder, or a copy beside shard files that stand elsewhere.

    Args:
        run: whose shard files are placed.
        model: folder of the model, on this machine.
        digest: of everything that changes it.
        names: of the files that make it up.
    """
    if run.shards == run.path:
        return str(model.resolve())
    copy = run.shards / "model" / digest
    for name in names:
        commit(copy / name, partial(shutil.copyfile, model / name))
    return str(copy)


def _delete(path: Folder) -> None:
    if not isinstance(path, Path) or path.is_file():
        path.unlink()


def _mark(folder: Folder, run: RunDirectory, identity: str) -> None:
    marker = folder / MARKER
    content = {"run": identity, "directory": f"{socket.gethostname()}:{run.path}"}
    try:
        _create(marker, json.dumps(content).encode())
        found = json.loads(marker.read_bytes())
    except Exception as error:
        # Drivers raise errors of their own libraries: no credentials, no such bucket, no right, no connection.
        raise ConfigError(
            f"{folder}: cannot be used as storage: {type(error).__name__}: {error}; check the bucket, the rights of "
            "this user and the environment that the driver reads its credentials from"
        ) from error
    if found.get("run") != identity:
        raise ConfigError(
            f"{folder}: holds the shard files of another run, {found.get('directory')}; name another place with "
            f"--storage. If that run is gone for good, delete {marker} and this run takes its files over"
        )


def _create(marker: Folder, data: bytes) -> None:
    """Write the marker unless there is one; stores decide which of two that are written at once is the first."""
    try:
        if isinstance(marker, Path):
            marker.parent.mkdir(parents=True, exist_ok=True)
            with marker.open("xb") as file:
                file.write(data)
        elif not marker.exists():
            marker.fs.pipe_file(marker.path, data, mode="create")
    except FileExistsError:
        return
