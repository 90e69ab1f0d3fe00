"""Rows a second of training and predicting under Ray, beside plain torch without Ray, on the same batches.

Two cores. Training: two workers of Ray Train with a thread each, beside one process with two threads. The linear model
passes over all rows at a time; an encoder is fine-tuned in batches of 32, sorted by length. Predicting: two actors of
Ray with a thread each, beside a pool of two processes. All are timed inside, past start-up and a first pass, in turns;
what is claimed is the median of the turns' ratios. Texts are real, soft labels drawn: they cost the same.

    python benchmarks/distillation_throughput.py [--kinds a,b --encoder DIR] [--rows N] [--rounds N] [--texts DIR]
                                                 [--json FILE]

The kind `encoder` is fine-tuning that of --encoder and predicting with it, such as the folder of all-MiniLM-L6-v2. What
is not named keeps its place in --json.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import ray.train
import torch
from measure import ROOT, SHARED, provenance, texts_of
from plain_torch import CLASSES, CORES, STEPS, Work, middle, predict_plain, train_plain
from ray.train.torch import TorchTrainer

from cluster.session import connect
from engine.distillation.choice import Choice
from engine.distillation.groups import TorchGroup
from engine.distillation.loop import retrain
from engine.distillation.losses import Loss
from engine.distillation.minibatch import Trainer
from engine.distillation.network_spec import NetworkProgress, NetworkSpec
from engine.distillation.networks import flat, make
from engine.distillation.rows import Rows
from operators.end_model import LinearModel
from operators.features import FeatureSpec, Featurizer
from operators.schema import Floats

BAR = 0.85


class Timed(TorchGroup):
    """Notes when sums were asked for: one a pass of the linear model."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def total(self, values: Floats) -> Floats:
        """Add up, and note it."""
        found = super().total(values)
        self.times.append(time.perf_counter())
        return found


def _worker(config: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    work: Work = config["work"]
    whole: Rows = ray.get(config["rows"])
    group = Timed()
    part = np.arange(group.rank, whole.num_rows, group.size)
    rows = Rows(features=whole.features[part], soft=whole.soft[part], folds=whole.folds[part])
    if work.network is None:
        times = {"regularization": (1e-6,), "epochs": STEPS, "last_epochs": STEPS}
        retrain(rows, group=group, loss=Loss(), factors=None, **times)
        # The first sum is of weights, the second the pass from which the steps start.
        rate = whole.num_rows * (len(group.times) - 2) / (group.times[-1] - group.times[1])
    else:
        rate = whole.num_rows / _fine_tuned(work.network, rows, group)
    if group.rank == 0:
        # Ray Train 2.60 hands no metrics on that come without a checkpoint.
        Path(config["told"]).write_text(json.dumps(rate))


def _fine_tuned(spec: NetworkSpec, rows: Rows, group: Timed) -> float:
    """Seconds of the second of two passes."""
    network = make(spec, num_features=rows.features.shape[1], class_names=CLASSES)
    nothing = rows.taken(np.zeros(rows.num_rows, bool))
    trainer = Trainer(network, rows, nothing, spec=spec, epochs=2, loss=Loss(), group=group, attempt=0)
    progress = NetworkProgress(rounds=0, weights=flat(network), choice=Choice.none(flat(network)))
    ends = [time.perf_counter()]
    trainer.train((0.01,), progress, on_round=lambda _: ends.append(time.perf_counter()))
    return ends[2] - ends[1]


def train_on_ray(work: Work, rows: Any, folder: Path) -> float:
    """Rows a second of two workers of Ray Train."""
    name = f"{work.name}-{time.monotonic_ns()}"
    told = folder / f"{name}.json"
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"work": work, "rows": rows, "told": str(told)},
        scaling_config=ray.train.ScalingConfig(num_workers=CORES, resources_per_worker={"CPU": 1}),
        run_config=ray.train.RunConfig(storage_path=str(folder), name=name),
    )
    trainer.fit()
    return float(json.loads(told.read_text()))


@ray.remote(num_cpus=1)
class Predictor:
    """An actor that predicts its part."""

    def __init__(self, work: Work, texts: Sequence[str]) -> None:
        torch.set_num_threads(1)
        self._texts, self._model = texts, _model(work)
        self._model.predict_proba(texts[:64])

    def seconds(self) -> float:
        """Predict once."""
        start = time.perf_counter()
        self._model.predict_proba(self._texts)
        return time.perf_counter() - start


def _model(work: Work) -> Any:
    """What predicts in a run, with weights that no one trained."""
    told: dict[str, Any] = {"features": work.features, "class_names": CLASSES, "temperature": 1.0, "extra": {}}
    if work.network is not None:
        from operators.fine_tuned import FineTunedModel, TokenClassifier
        from operators.tokens import Tokens

        encoder = work.network.encoder or ""
        tokens = Tokens(encoder, max_tokens=work.features.max_tokens or 0)
        return FineTunedModel(classifier=TokenClassifier(encoder, class_names=CLASSES), tokens=tokens, **told)
    d = Featurizer(work.features).num_features
    zeros: npt.NDArray[np.float32] = np.zeros((d, len(CLASSES)), np.float32)
    return LinearModel(weight=zeros, bias=zeros[0], scales=np.ones(d, np.float32), **told)


def predict_on_ray(work: Work) -> float:
    """Rows a second of two actors."""
    actors = [Predictor.remote(work, work.texts[rank::CORES]) for rank in range(CORES)]  # type: ignore[attr-defined]
    ray.get([actor.__ray_ready__.remote() for actor in actors])
    seconds = max(ray.get([actor.seconds.remote() for actor in actors]))
    for actor in actors:
        ray.kill(actor)
    return len(work.texts) / seconds


def main() -> None:
    """Measure, print a line each, write the result with what made it; exit with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="hashed_ngrams", help="hashed_ngrams, encoder or both")
    parser.add_argument("--encoder", help="folder of a transformers encoder, for that kind")
    parser.add_argument("--rows", type=int, default=50_000, help="of n-grams; an encoder gets a fiftieth")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=Path, default=SHARED / "data" / "text")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "distillation_throughput.json")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    texts = tuple(texts_of("yelp", data=options.texts, rows=options.rows).to_pylist())
    works = []
    if "hashed_ngrams" in options.kinds.split(","):
        works.append(Work(name="hashed_ngrams", texts=texts, features=FeatureSpec(), network=None))
    if "encoder" in options.kinds.split(","):
        if not options.encoder:
            parser.error("--kinds encoder wants --encoder DIR")
        features = FeatureSpec(kind="tokens", encoder=options.encoder, max_tokens=128)
        network = NetworkSpec(
            seed=0, hidden=0, encoder=options.encoder, learning_rate=5e-5, batch_size=32, accumulate=1
        )
        works.append(Work(name="encoder", texts=texts[: options.rows // 50], features=features, network=network))
    known = json.loads(options.json.read_text()) if options.json.is_file() else {}
    found: dict[str, Any] = known.get("found", {})
    with tempfile.TemporaryDirectory() as folder, connect(num_cpus=CORES + 1):
        for work in works:
            rows = work.rows()
            shared = ray.put(rows)
            for what in ("training", "inference"):
                turns = []
                for _ in range(options.rounds):
                    if what == "training":
                        turns.append((train_on_ray(work, shared, Path(folder)), train_plain(work, rows)))
                    else:
                        turns.append((predict_on_ray(work), predict_plain(work)))
                told = {
                    **provenance(packages=["torch", "transformers", "ray", "numpy"]),
                    "rows": len(work.texts),
                    "ours_rows_per_s": [round(ours, 1) for ours, _ in turns],
                    "plain_rows_per_s": [round(plain, 1) for _, plain in turns],
                    "ratio": middle(turns),
                }
                found[f"{work.name}/{what}"] = told
                print(work.name, what, json.dumps(told), flush=True)
                options.json.parent.mkdir(parents=True, exist_ok=True)
                options.json.write_text(json.dumps({"bar": BAR, "found": found}, indent=1) + "\n")
    missed = [name for name, told in found.items() if told["ratio"] < BAR]
    raise SystemExit(f"bars missed: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
