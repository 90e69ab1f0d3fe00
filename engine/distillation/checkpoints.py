"""Where a training in this process leaves off, for a run that is killed and started again."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import fields
from pathlib import Path

from engine.distillation.job import Job
from engine.distillation.loop import Progress
from operators.commit import commit
from operators.storage import Folder

SCRATCH = "model.tmp-train-"
"""Of folders with checkpoints; what is committed as a model deletes those beside it."""


class Checkpoints:
    """The last progress of one job, in a folder beside its model."""

    def __init__(self, job: Job, beside: Path) -> None:
        self._path = beside / f"{SCRATCH}{digest_of_job(job)}" / "progress.pickle"

    def save(self, progress: Progress) -> None:
        """Replace what is kept."""
        commit(self._path, lambda path: path.write_bytes(pickle.dumps(progress)), replace=True)

    def load(self) -> Progress | None:
        """Return what is kept; None to start."""
        if not self._path.exists():
            return None
        kept = pickle.loads(self._path.read_bytes())  # noqa: S301 - written by `save`
        return kept if isinstance(kept, Progress) else None


def digest_of_job(job: Job) -> str:
    """Name what is trained on what: a checkpoint of another job is never gone on from."""
    told = [repr(getattr(job, found.name)) for found in fields(job) if found.name != "files"]
    told += [f"{path}:{_stamp(path)}" for path in job.files]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _stamp(path: Folder) -> str:
    if not isinstance(path, Path):
        return ""  # In an object store the name of a shard's file says what is in it, and so it does here, in a run.
    found = path.stat()
    return f"{found.st_size}:{found.st_mtime_ns}"
