"""Rows a second of training and predicting under Ray, beside plain torch without Ray, on the same batches.

Protocol: two cores. Ours is what a run does: two workers of Ray Train with a thread each, or two actors that predict,
timed inside past start-up and a first pass. Plain is a page of torch in this process with two threads: the same
network, the same rows in the same batches, soft-label cross entropy, Adam. The two take turns, and what is claimed is
the median of the ratios of the turns. Texts are those of a real corpus; labels are drawn, since they cost the same.

    python benchmarks/distillation_throughput.py [--encoder DIR] [--rows N] [--rounds N] [--texts DIR] [--json FILE]

--encoder adds fine-tuning of an encoder and predicting with it, such as the folder of all-MiniLM-L6-v2.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import ray.train
import torch
from measure import ROOT, SHARED, provenance, texts_of
from plain_torch import CLASSES, CORES, PASSES, Work, predict_plain, train_plain
from ray.train.torch import TorchTrainer

from cluster.session import connect
from engine.distillation.groups import Group, TorchGroup
from engine.distillation.losses import Loss
from engine.distillation.minibatch import Trainer
from engine.distillation.network_spec import NetworkSpec
from engine.distillation.networks import make
from engine.distillation.rows import Rows
from operators.features import FeatureSpec, Featurizer
from operators.mlp import MlpModel

BAR = 0.85


def ours(work: Work, *, group: Group, part: slice) -> float:
    """Seconds a pass of our loop on this process's part of the rows."""
    rows = work.rows(part)
    network = make(work.network, num_features=rows.features.shape[1], class_names=CLASSES)
    nothing = Rows(features=rows.features[:0], soft=rows.soft[:0])
    trainer = Trainer(network, rows, nothing, spec=work.network, epochs=PASSES + 1, loss=Loss(), group=group, attempt=0)
    return trainer.seconds_a_pass(PASSES)


def _worker(config: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    group = TorchGroup()
    seconds = ours(config["work"], group=group, part=slice(group.rank, None, group.size))
    ray.train.report({"seconds": float(group.total(np.array([seconds]))[0]) / group.size})


def train_on_ray(work: Work, folder: Path) -> float:
    """Seconds a pass on two workers of Ray Train."""
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"work": work},
        scaling_config=ray.train.ScalingConfig(num_workers=CORES, resources_per_worker={"CPU": 1}),
        run_config=ray.train.RunConfig(storage_path=str(folder), name=f"{work.name}-{time.monotonic_ns()}"),
    )
    metrics = trainer.fit().metrics
    if metrics is None:
        raise RuntimeError("Ray Train gave no metrics")
    return float(metrics["seconds"])


def predict_with(work: Work, texts: Sequence[str]) -> Callable[[], npt.NDArray[Any]]:
    """Load what predicts, as a worker does; returns the prediction of these texts, to be timed."""
    if work.network.encoder is not None:
        from operators.fine_tuned import FineTunedModel, TokenClassifier
        from operators.tokens import Tokens

        tuned = FineTunedModel(
            features=work.features,
            class_names=CLASSES,
            temperature=1.0,
            extra={},
            classifier=TokenClassifier(work.network.encoder, class_names=CLASSES),
            tokens=Tokens(work.network.encoder, max_tokens=work.features.max_tokens or 0),
        )
        return lambda: tuned.predict_proba(texts)
    d, hidden = Featurizer(work.features).num_features, work.network.hidden
    rng = np.random.default_rng(0)
    small = MlpModel(
        features=work.features,
        class_names=CLASSES,
        scales=np.ones(d, np.float32),
        used=np.arange(d),
        first=rng.normal(size=(d, hidden)).astype(np.float32),
        first_bias=np.zeros(hidden, np.float32),
        weight=rng.normal(size=(hidden, 2)).astype(np.float32),
        bias=np.zeros(2, np.float32),
    )
    return lambda: small.predict_proba(texts)


@ray.remote(num_cpus=1)
class Predictor:
    """An actor that predicts its part."""

    def __init__(self, work: Work, rank: int) -> None:
        torch.set_num_threads(1)
        self._predict = predict_with(work, work.texts[rank::CORES])
        self._predict()

    def seconds(self) -> float:
        """Predict once more."""
        start = time.perf_counter()
        self._predict()
        return time.perf_counter() - start


def predict_on_ray(work: Work) -> float:
    """Seconds for all texts on two actors."""
    actors = [Predictor.remote(work, rank) for rank in range(CORES)]
    ray.get([actor.__ray_ready__.remote() for actor in actors])
    start = time.perf_counter()
    ray.get([actor.seconds.remote() for actor in actors])
    seconds = time.perf_counter() - start
    for actor in actors:
        ray.kill(actor)
    return seconds


def main() -> None:
    """Measure, print a line each and write the result with what made it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", help="folder of a transformers encoder")
    parser.add_argument("--rows", type=int, default=20000, help="of n-grams; an encoder gets a fiftieth")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=Path, default=SHARED / "data" / "text")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "distillation_throughput.json")
    options = parser.parse_args()
    given: dict[str, Any] = {"seed": 0, "hidden": 64, "accumulate": 1}
    texts = tuple(texts_of("sms", data=options.texts, rows=options.rows).to_pylist())
    small = NetworkSpec(encoder=None, learning_rate=3e-3, batch_size=64, **given)
    works = [Work(name="hashed_ngrams", texts=texts, features=FeatureSpec(num_features_log2=15), network=small)]
    if options.encoder:
        spec = FeatureSpec(kind="tokens", encoder=options.encoder, max_tokens=128)
        large = NetworkSpec(encoder=options.encoder, learning_rate=5e-5, batch_size=32, **given)
        works.append(Work(name="encoder", texts=texts[: options.rows // 50], features=spec, network=large))
    before = os.getloadavg()[0]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, connect(num_cpus=CORES + 1):
        for work in works:
            for what, under_ray, plain in (
                ("training", lambda w: train_on_ray(w, Path(folder)), train_plain),
                ("inference", predict_on_ray, predict_plain),
            ):
                turns = [(under_ray(work), plain(work)) for _ in range(options.rounds)]
                n = len(work.texts)
                told = {
                    "rows": n,
                    "ours_rows_per_s": [round(n / a, 1) for a, _ in turns],
                    "plain_rows_per_s": [round(n / b, 1) for _, b in turns],
                    "ratio": round(median(b / a for a, b in turns), 3),
                }
                found[f"{work.name}/{what}"] = told
                print(work.name, what, json.dumps(told), flush=True)
    content = {**provenance(packages=["torch", "transformers", "ray", "numpy"]), "load_before": before, "bar": BAR}
    content |= {"met": all(told["ratio"] >= BAR for told in found.values()), "found": found}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
