"""The run directory: what ran, with which digests, and the lock that keeps two runs apart.

Shard files are found by their names alone, which hold the digest of all that changes them. run.json is what
people and the report read: which stage was computed when, over how many rows and in how many seconds.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from engine.errors import ConfigError, EngineError
from operators.commit import commit
from operators.storage import Folder

FORMAT = 1
"""Version of the layout; a directory of another version is refused rather than misread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """One stage of a run, as it was last computed.

    Attributes:
        digest: of everything that changes its result.
        seconds: wall time of the sitting that finished it.
        rows: rows it went over in that sitting, None where it goes over none.
        result: what later stages and the report need of it; JSON values.
        inputs: what it was made from, by name; None where an earlier version did not write it down.
        reason: why it was computed and how much of it, in a line; empty likewise.
    """

    digest: str
    seconds: float
    rows: int | None
    result: dict[str, Any]
    inputs: dict[str, Any] | None = None
    reason: str = ""


StageStatus = Literal["computed", "reused"]


class RunDirectory:
    """A run directory, locked while it is open; a context manager.

    Attributes:
        path: of the directory.
        shards: where the shard files stand; the directory itself until `engine.storage.place_shards` says otherwise.
    """

    def __init__(self, path: str | Path) -> None:
        """Open a run directory, or make one.

        Raises:
            ConfigError: another run is using it, it cannot be written, or it holds something else.
        """
        self.path = Path(path).resolve()
        self.shards: Folder = self.path
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path}: a run needs a directory, and this is a file")
        foreign = self.path.is_dir() and any(self.path.iterdir()) and not (self.path / "run.json").exists()
        if foreign and not (self.path / ".lock").exists():
            raise ConfigError(f"{self.path}: not empty and not a run directory; name another with --out")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / ".lock").open("a")
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise ConfigError(f"{self.path}: another run is using this directory; wait for it or use --out") from None
        try:
            self._content = self._read()
        except ConfigError:
            self._lock.close()
            raise

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back."""
        self._lock.close()

    def record(self, stage: str) -> StageRecord | None:
        """Return what is known of a stage, None if it never finished."""
        values = self._content["stages"].get(stage)
        return None if values is None else StageRecord(**values)

    def put(self, stage: str, record: StageRecord) -> None:
        """Write down that a stage has finished."""
        self._content["stages"][stage] = asdict(record)
        self._content.get("begun", {}).pop(stage, None)
        self._write()

    def begin(self, stage: str, causes: Sequence[str]) -> None:
        """Forget a stage before its files are touched, so that a record never stands beside files of another state.

        Args:
            stage: its name.
            causes: why it is computed, for the run that finishes it should this one be cut off.
        """
        self._content.setdefault("begun", {})[stage] = list(causes)
        self._content["stages"].pop(stage, None)
        self._write()

    def begun(self, stage: str) -> list[str] | None:
        """Return why a stage was begun that was never finished, None if none was."""
        causes: list[str] | None = self._content.get("begun", {}).get(stage)
        return causes

    def forget(self, stage: str) -> None:
        """Forget a stage: its results are no longer used."""
        if self._content["stages"].pop(stage, None) is not None:
            self._write()

    def note(self, **values: Any) -> None:
        """Write JSON values beside the stages: the task, the versions, the last command."""
        self._content.update(values)
        self._write()

    def noted(self, name: str) -> Any:
        """Return a value that `note` wrote, None if there is none."""
        return self._content.get(name)

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Commit a JSON file of the run; NaN is refused, since JSON has none."""
        path = self.path / name
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
        commit(path, lambda p: p.write_text(text, encoding="utf-8"), replace=True)
        return path

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run.

        Raises:
            EngineError: it is not there or damaged.
        """
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EngineError(f"{path}: cannot be read: {error}; delete it and run again") from error

    def _read(self) -> dict[str, Any]:
        path = self.path / "run.json"
        if not path.exists():
            return {"format": FORMAT, "stages": {}}
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read as a run: {error}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ConfigError(f"{path}: not a run of format {FORMAT}; name another directory with --out")
        return content

    def _write(self) -> None:
        self.write_json("run.json", self._content)


def digest_of(*parts: object) -> str:
    """Digest JSON values, the same in any process; 16 hexadecimal digits.

    Example:
        >>> digest_of("a", {"x": 1})
        'a0c59a8a7d44196a'
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
