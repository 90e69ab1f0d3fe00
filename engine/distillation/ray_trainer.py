"""A training job on Ray Train: files are dealt out to workers, which sum their gradients with gloo.

Files are dealt by their place in the list rather than streamed by Ray Data: its split into equal parts drops the rows
that are left over and deals blocks in the order in which they arrive, so that two runs would not give the same model.
Every worker keeps its rows in memory, which is what it is given a part of the files for.
"""

from __future__ import annotations

import logging
import pickle
import shutil
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs

from cluster.session import Session, connect
from engine.distillation.checkpoints import SCRATCH, digest_of_job
from engine.distillation.groups import TorchGroup
from engine.distillation.heads import do
from engine.distillation.job import Job, Trained
from engine.distillation.loop import Progress
from engine.distillation.network_spec import NetworkJob
from engine.errors import EngineError
from operators.storage import Folder, names_in

logger = logging.getLogger(__name__)

_STATE, _RESULT = "progress.pickle", "trained.pickle"
_MAX_FAILURES = 2

_MAX_STARTS = 5
"""Attempts to place the workers, a minute each unless RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S says otherwise."""


def train_on_ray(job: Job, *, num_workers: int, folder: Folder) -> Trained:
    """Train with a TorchTrainer on the cluster that this process is connected to, or on this machine.

    Args:
        job: what to train.
        num_workers: at most; never more than files, and no more than `workers_with_room`.
        folder: that all nodes reach; a folder of checkpoints is made in it and deleted at the end.

    Raises:
        EngineError: the training failed more than twice, or its workers found no room in five minutes; the message
            holds the reason.
    """
    import ray.train
    from ray.train.torch import TorchTrainer

    workers = min(num_workers, len(job.files))
    # By what is trained and on how many workers: where a run was killed, Ray Train goes on from its last checkpoint.
    scratch = folder / f"{SCRATCH}{digest_of_job(job)}-{workers}"
    # What a run of other settings left behind when it was killed.
    for name in names_in(folder):
        if name.startswith(SCRATCH) and name != scratch.name:
            _delete(folder / name)
    try:
        with connect(), _own_interrupts(), warnings.catch_warnings():
            scaling = _scaling(job, workers)
            # Ray 2.60 warns of fields of its own when it makes the first context of Ray Data in a process.
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"ray\.data\.context")
            trainer = TorchTrainer(
                _work,
                train_loop_config={"job": job},
                scaling_config=scaling,
                run_config=ray.train.RunConfig(
                    name="distill",
                    **_storage(scratch),
                    failure_config=ray.train.FailureConfig(
                        max_failures=_MAX_FAILURES, controller_failure_limit=_MAX_STARTS - 1
                    ),
                    checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
                ),
            )
            result = trainer.fit()
        if result.checkpoint is None:
            raise EngineError("Ray Train ended without a checkpoint; run again, or set `end_model.trainer: process`")
        with result.checkpoint.as_directory() as copy:
            trained = pickle.loads((Path(copy) / _RESULT).read_bytes())  # noqa: S301 - written by our own worker
    except ray.train.TrainingFailedError as error:
        if _had_no_room(error):
            # What is kept stays: the next run goes on from there.
            raise EngineError(
                f"Ray Train could not start {workers} worker(s) in {_MAX_STARTS} attempts: what they need (a CPU each"
                f"{', and an accelerator' if scaling.use_gpu else ''}) was taken by other work, or a node was lost. "
                "Wait until the cluster is free, lower `end_model.num_workers`, or set `end_model.trainer: process`, "
                f"and run again: {error}"
            ) from error
        _delete(scratch)
        raise EngineError(f"training on Ray failed more than {_MAX_FAILURES} times: {error}") from error
    # Not where this process is interrupted or killed: the next run goes on from there.
    _delete(scratch)
    if not isinstance(trained, Trained):
        raise EngineError(f"Ray Train's checkpoint holds {type(trained).__name__}, expected Trained")
    return trained


def workers_with_room(job: Job, wanted: int, session: Session) -> tuple[int, str]:
    """Say how many workers a cluster has room for.

    Args:
        job: what they would train.
        wanted: at most.
        session: the cluster.

    Returns:
        their number, and why it is not what is wanted; "" where it is.
    """
    most, what = session.num_cpus, "CPUs"
    if _is_for_gpus(job) and 0 < session.num_gpus < most:
        # A few workers that have a GPU each are faster than many without.
        most, what = session.num_gpus, "GPUs"
    if wanted <= most:
        return wanted, ""
    return most, f"{most} of {wanted} workers, since the cluster has {most} {what}"


def _is_for_gpus(job: Job) -> bool:
    return isinstance(job, NetworkJob) and job.network.encoder is not None


def _had_no_room(error: Exception) -> bool:
    # WorkerGroupStartupTimeoutError and WorkerGroupStartupFailedError, which Ray has in no public module.
    return type(getattr(error, "controller_failure", None)).__name__.startswith("WorkerGroupStartup")


def _scaling(job: Job, workers: int) -> Any:
    """Give every worker an accelerator where an encoder is fine-tuned and there are enough of them."""
    import ray
    import ray.train

    use_gpu = _is_for_gpus(job) and ray.cluster_resources().get("GPU", 0) >= workers
    return ray.train.ScalingConfig(num_workers=workers, use_gpu=use_gpu, resources_per_worker={"CPU": 1})


def _storage(scratch: Folder) -> dict[str, Any]:
    """Tell Ray Train where checkpoints go; in an object store through our driver, so that one set of keys serves."""
    if isinstance(scratch, Path):
        return {"storage_path": str(scratch)}
    system = pa.fs.PyFileSystem(pa.fs.FSSpecHandler(scratch.fs))
    return {"storage_path": scratch.path, "storage_filesystem": system}


def _delete(scratch: Folder) -> None:
    if isinstance(scratch, Path):
        shutil.rmtree(scratch, ignore_errors=True)
    elif scratch.exists():
        scratch.fs.rm(scratch.path, recursive=True)


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Take back what Ctrl-C does: Ray 2.60 leaves a handler behind that calls a controller which is gone by then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(config: dict[str, Any]) -> None:
    import ray.train
    import ray.train.torch

    job: Job = config["job"]
    context = ray.train.get_context()
    device = ray.train.torch.get_device()
    if device.type == "cuda":
        # Every worker of a node sees all its accelerators; from here on "cuda" is its own.
        import torch

        torch.cuda.set_device(device)
    group = TorchGroup()
    files = job.files[context.get_world_rank() :: context.get_world_size()]
    trained = do(job, files, group=group, progress=_resumed(), on_round=lambda p: _report(p, _STATE, p, group.rank))
    _report(trained.progress, _RESULT, trained, group.rank)


def _report(progress: Progress, name: str, state: object, rank: int) -> None:
    """Tell Ray Train of a round: its metrics, and from rank 0 a checkpoint.

    A round and not each pass: a report waits until the controller has asked for it, every two seconds, and a pass
    takes a fraction of one. Each pass is in `candidates`.
    """
    import ray.train

    last = progress.candidates[-1].to_json() if progress.candidates else {}
    metrics = {"rounds": progress.rounds, **last}
    if rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(pickle.dumps(state))
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _resumed() -> Progress | None:
    import ray.train

    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        for name in (_STATE, _RESULT):
            path = Path(folder) / name
            if path.exists():
                state = pickle.loads(path.read_bytes())  # noqa: S301 - written by our own worker
                progress = state.progress if isinstance(state, Trained) else state
                return progress if isinstance(progress, Progress) else None
    return None
