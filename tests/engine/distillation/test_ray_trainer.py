"""Workers of Ray Train give the model that one process gives."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cluster.session import connect
from engine.distillation.end_model import EndModel
from engine.distillation.train import distill
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
                num_features_log2=12, max_ngram=1, regularization=(1e-2, 1e-3), trainer=trainer, num_workers=workers
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
