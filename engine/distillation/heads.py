"""Which head a job trains: the linear one, or a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.distillation.groups import Group
from engine.distillation.job import Job, Trained, do_job
from engine.distillation.loop import Progress
from engine.distillation.network_spec import NetworkJob, NetworkProgress
from operators.storage import Folder


def do(
    job: Job,
    files: Sequence[Folder],
    *,
    group: Group,
    progress: Progress | None,
    on_round: Callable[[Progress], None],
) -> Trained:
    """Do this process's part of a training; see `job.do_job`."""
    if not isinstance(job, NetworkJob):
        return do_job(job, files, group=group, progress=progress, on_round=on_round)
    # Imported here: the linear head needs no torch.
    from engine.distillation.network_job import do_network_job

    if progress is not None and not isinstance(progress, NetworkProgress):
        raise TypeError(f"expected the progress of a network, got {type(progress).__name__}")
    return do_network_job(job, files, group=group, progress=progress, on_round=on_round)
