"""A killed worker or driver: training goes on and ends as it would have."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import psutil
import pytest

from engine.distillation.checkpoints import SCRATCH
from engine.distillation.end_model import EndModel

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.ray]

TEXTS = ["a great superb film", "an awful dull plot", "lovely fun", ""]

PROGRAM = """
import sys
from pathlib import Path
from cluster.session import connect
from engine.distillation.train import distill
from engine.task_end_model import EndModelSpec

if __name__ == "__main__":
    head, out, files = sys.argv[1], Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]]
    spec = EndModelSpec(
        head=head, hidden_units=8, epochs=4, regularization=tuple(10 ** -(1 + i / 3) for i in range(16)),
        num_features_log2=12, max_ngram=1, trainer="ray", num_workers=2,
        # So few rows of the linear head are held out in turn otherwise, in seconds and without a checkpoint.
        self_training=head == "linear",
    )
    with connect(num_cpus=4):
        done = distill(files, spec=spec, class_names=("bad", "good"), seed=0, out=out, facts={})
    print("candidates", len(done.candidates))
"""


Start = Callable[[str, Path, Path], "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def start(kept_feature_files: list[Path]) -> Iterator[Start]:
    """Start a training of a head into a folder, with its output in a log; what still runs at the end is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(head: str, out: Path, log: Path) -> subprocess.Popen[bytes]:
        out.parent.mkdir(exist_ok=True)
        with log.open("wb") as told:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, head, str(out), *map(str, kept_feature_files)],
                stdout=told,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
                start_new_session=True,
            )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def _rounds(out: Path, *, since: float = 0.0) -> list[int]:
    """Read how many regularizations were done by each checkpoint that is kept, and that was written since then."""
    found = []
    with contextlib.suppress(FileNotFoundError):  # a folder that is deleted while it is looked through
        for path in out.parent.glob(f"{SCRATCH}*/**/progress.pickle"):
            with contextlib.suppress(FileNotFoundError, EOFError, pickle.UnpicklingError):  # deleted, or half written
                if path.stat().st_mtime > since:
                    found.append(pickle.loads(path.read_bytes()).rounds)  # noqa: S301 - our own
    return found


def _wait_for_checkpoint(out: Path, process: subprocess.Popen[bytes], log: Path, *, rounds: int = 1) -> None:
    """Wait until so many rounds are kept, so that a kill comes in the middle."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if max(_rounds(out), default=0) >= rounds:
            return
        assert process.poll() is None, f"the training ended before it could be killed: {log.read_text()}"
        time.sleep(0.1)
    raise AssertionError(f"no checkpoint in five minutes: {log.read_text()}")


def _workers(driver: int) -> list[psutil.Process]:
    """Find the processes of Ray Train's workers among those that the driver started."""
    return [p for p in psutil.Process(driver).children(recursive=True) if "RayTrainWorker" in " ".join(p.cmdline())]


@pytest.fixture(scope="module")
def expected(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], np.ndarray]:
    """Train a head undisturbed, once for all tests, and say what its model predicts."""

    @cache
    def train(head: str) -> np.ndarray:
        folder = tmp_path_factory.mktemp(head)
        process = start(head, folder / "whole" / "model", folder / "whole.log")
        assert process.wait(300) == 0, (folder / "whole.log").read_text()
        return EndModel.load(folder / "whole" / "model").predict_proba(TEXTS)

    return train


@pytest.mark.parametrize(("head", "seed"), [("mlp", 0), ("mlp", 1), ("linear", 0)])
def test_a_killed_worker_is_replaced(
    start: Start, expected: Callable[[str], np.ndarray], tmp_path: Path, head: str, seed: int
) -> None:
    """kill -9 of a worker at a random moment after the first checkpoint: the same run ends with the same model."""
    told, out, log = expected(head), tmp_path / "killed" / "model", tmp_path / "killed.log"
    process = start(head, out, log)
    _wait_for_checkpoint(out, process, log)
    rng = np.random.default_rng(seed)
    time.sleep(rng.random() * 2)
    found = _workers(process.pid)
    assert found, f"no worker to kill: {log.read_text()}"
    found[int(rng.integers(len(found)))].kill()
    assert process.wait(300) == 0, log.read_text()
    assert np.allclose(EndModel.load(out).predict_proba(TEXTS), told, atol=1e-4)
    assert [path.name for path in out.parent.iterdir()] == ["model"]


@pytest.mark.parametrize(("head", "seed"), [("mlp", 0), ("mlp", 1), ("linear", 0)])
def test_a_killed_driver_is_started_again(
    start: Start, expected: Callable[[str], np.ndarray], tmp_path: Path, head: str, seed: int
) -> None:
    """kill -9 of the driver after its second checkpoint: the next run goes on from there, to the same model."""
    told, out, log = expected(head), tmp_path / "killed" / "model", tmp_path / "killed.log"
    process = start(head, out, log)
    _wait_for_checkpoint(out, process, log, rounds=2)
    time.sleep(np.random.default_rng(seed).random() * 2)
    started = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert not out.exists(), "the training had ended before it was killed"
    _, left = psutil.wait_procs(started, timeout=90)
    assert not [p for p in left if "RayTrainWorker" in " ".join(p.cmdline())], "workers outlived their driver"
    killed_at = time.time()
    again = start(head, out, log)
    seen: list[int] = []
    while again.poll() is None:
        seen += _rounds(out, since=killed_at)
        time.sleep(0.05)
    assert again.returncode == 0, log.read_text()
    assert seen, "no checkpoint was written by the second run"
    assert min(seen) >= 2, "the second run started anew"
    assert np.allclose(EndModel.load(out).predict_proba(TEXTS), told, atol=1e-4)
    assert [path.name for path in out.parent.iterdir()] == ["model"]
