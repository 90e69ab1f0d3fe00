"""Workers of Ray Train give the model that one process gives."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray

from cluster.session import Session, connect
from engine.distillation.end_model import EndModel
from engine.distillation.job import Job
from engine.distillation.network_spec import NetworkJob, NetworkSpec
from engine.distillation.ray_trainer import workers_with_room
from engine.distillation.train import distill
from engine.errors import EngineError
from engine.task_end_model import EndModelSpec

pytestmark = [pytest.mark.slow, pytest.mark.ray]


def test_two_workers_agree_with_one_process(feature_files: Callable[..., list[Path]], tmp_path: Path) -> None:
    """Gradients summed over two workers lead to the same choice and, up to rounding, the same probabilities."""
    files = feature_files()
    interrupts = signal.getsignal(signal.SIGINT)
    done = {}
    with connect(num_cpus=4):
        for trainer, workers in (("process", 1), ("ray", 2)):
            spec = EndModelSpec(
                num_features_log2=12,
                max_ngram=1,
                regularization=(1e-2, 1e-3),
                feature_dropout=0.0,  # Each worker draws for itself.
                trainer=trainer,
                num_workers=workers,
            )
            done[trainer] = distill(
                files, spec=spec, class_names=("bad", "good"), seed=0, out=tmp_path / trainer, facts={}
            )
    assert signal.getsignal(signal.SIGINT) is interrupts, "Ray Train left its handler of Ctrl-C behind"
    assert (done["ray"].num_workers, done["ray"].num_rows) == (2, done["process"].num_rows)
    assert done["ray"].regularization == done["process"].regularization
    assert done["ray"].heldout_loss == pytest.approx(done["process"].heldout_loss, rel=1e-4)
    texts = ["a great superb film", "an awful dull plot", ""]
    one, two = (EndModel.load(tmp_path / name).predict_proba(texts) for name in ("process", "ray"))
    # The objective is flat at its minimum, so sums in another order end a small step away.
    assert np.allclose(one, two, atol=2e-2)
    left = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert left == {"process", "ray"}


@pytest.mark.parametrize("head", ["linear", pytest.param("mlp", marks=pytest.mark.long)])
def test_more_workers_than_cpus_are_not_waited_for(
    feature_files: Callable[..., list[Path]], tmp_path: Path, head: str
) -> None:
    """Four workers on two CPUs are two, said so, and the same seed gives their weights bit for bit."""
    files, told, weights = feature_files(num_files=4), {}, []
    with connect(num_cpus=2):
        for workers in (2, 4):
            out = tmp_path / str(workers)
            spec = EndModelSpec(
                head=head,
                hidden_units=8,
                epochs=4,
                num_features_log2=12,
                max_ngram=1,
                regularization=(1e-2, 1e-3),
                num_workers=workers,
            )
            told[workers] = distill(files, spec=spec, class_names=("bad", "good"), seed=0, out=out, facts={})
            weights.append((out / "model.safetensors").read_bytes())
    assert [done.num_workers for done in told.values()] == [2, 2]
    assert "since the cluster" not in told[2].trainer_reason
    assert "2 of 4 workers, since the cluster has 2 CPUs" in told[4].trainer_reason
    assert weights[0] == weights[1]


def test_workers_without_room_are_an_error(
    feature_files: Callable[..., list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where other work keeps all CPUs, the training ends and says what to do, instead of trying for ever."""
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "1")
    spec = EndModelSpec(num_features_log2=12, max_ngram=1, num_workers=2)
    with connect(num_cpus=2):
        other = ray.util.placement_group([{"CPU": 2}])
        ray.get(other.ready(), timeout=60)
        with pytest.raises(EngineError, match=r"could not start 2 worker\(s\) in 5 attempts.*`end_model.num_workers`"):
            distill(feature_files(), spec=spec, class_names=("bad", "good"), seed=0, out=tmp_path / "model", facts={})
        ray.util.remove_placement_group(other)


def test_an_encoder_has_as_many_workers_as_there_are_gpus() -> None:
    """Fine-tuning takes fewer workers with a GPU each before more without; other heads count CPUs alone."""
    plain = Job(files=(), num_features=3, num_classes=2, regularization=(1e-3,), epochs=1)
    spec = EndModelSpec(head="fine_tune", features="encoder", encoder="folder")
    tuned = NetworkJob.of(plain, NetworkSpec.of(spec, seed=0), class_names=("bad", "good"))
    session = Session(num_cpus=8, num_nodes=1, node_memory_bytes=(0,), local=False, num_gpus=2)
    assert workers_with_room(plain, 4, session) == (4, "")
    assert workers_with_room(tuned, 4, session) == (2, "2 of 4 workers, since the cluster has 2 GPUs")
    assert workers_with_room(tuned, 4, replace(session, num_gpus=0)) == (4, "")
