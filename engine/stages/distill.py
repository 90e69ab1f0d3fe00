"""Distillation: features of the labeled rows, a small model trained on their soft labels, and its predictions."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.rows import text_key, text_of
from engine.store import digest_of
from engine.task import LabelingTask
from operators.features import FeatureSpec
from operators.featurize import FeaturizeShard, features_path
from operators.predict import PredictShard, predictions_path

MODEL_FILES = ("config.json", "model.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """A trained model and how it came about.

    Attributes:
        folder: of the model.
        digest: of everything that changes it.
        facts: JSON: what was chosen, on what grounds, and the warnings.
    """

    folder: Path
    digest: str
    facts: dict[str, Any]


def distill(ctx: Context, corpus: Corpus, labels: str) -> Distilled:
    """Train the end model on the covered training rows; gold is not read.

    Raises:
        EngineError: no row is left to train on.
    """
    start = time.perf_counter()
    task, folder = ctx.task, ctx.run.path
    model = folder / "model"
    spec = task.end_model
    settings = FeatureSpec(
        kind=spec.features,
        encoder=spec.encoder,
        num_features_log2=spec.num_features_log2,
        max_ngram=spec.max_ngram,
    )
    features = digest_of("features", 1, labels, text_key(task), asdict(settings))
    facts = {"task": task.name, "instruction": task.instruction}
    digest = digest_of("distill", 1, features, corpus.keys, spec.model_dump(), task.class_names, task.seed, facts)
    record = ctx.reuse("distill", digest, complete=all((model / name).is_file() for name in MODEL_FILES))
    if record is None:
        paths = [features_path(folder, shard.key, features) for shard in corpus.shards]
        missing = [s.to_json() for s, path in zip(corpus.shards, paths, strict=True) if not path.exists()]
        args = {
            "folder": str(folder),
            "labels": labels,
            "text": text_of(task),
            "id_column": task.columns.id,
            "features": settings,
            "digest": features,
        }
        for _ in ctx.stream(
            "distill",
            missing,
            FeaturizeShard,
            step_args=args,
            slowest_item_s=_slowest(task),
            stateful=_encodes(task),
        ):
            pass
        # Importing torch takes a second or two; a run that has nothing to train does not pay it.
        from engine.distillation.train import choose_trainer
        from engine.distillation.train import distill as train

        if choose_trainer(paths, spec)[0] == "ray":
            ctx.session()
        done = train(
            paths,
            spec=spec,
            class_names=task.class_names,
            seed=task.seed,
            out=model,
            facts=facts,
        )
        ctx.run.keep_only("features", paths)
        record = ctx.finish("distill", digest=digest, since=start, rows=done.num_rows, result=done.to_json())
    for warning in record.result.get("warnings", ()):
        ctx.warn(f"distilled model: {warning}")
    return Distilled(folder=model, digest=digest, facts=record.result)


def predict(ctx: Context, corpus: Corpus, model: Distilled) -> str:
    """Apply the distilled model to every row.

    Returns:
        the digest in the names of the prediction files.
    """
    start = time.perf_counter()
    name = digest_of("predictions", 1, model.digest)
    digest = digest_of("predict", name, corpus.keys)
    paths = [predictions_path(ctx.run.path, shard.key, name) for shard in corpus.shards]
    missing = [shard for shard, path in zip(corpus.shards, paths, strict=True) if not path.exists()]
    if ctx.reuse("predict", digest, complete=not missing) is not None:
        return name
    args = {
        "model": str(model.folder),
        "folder": str(ctx.run.path),
        "text": text_of(ctx.task),
        "id_column": ctx.task.columns.id,
        "digest": name,
    }
    rows = 0
    for result in ctx.stream(
        "predict",
        [shard.to_json() for shard in missing],
        PredictShard,
        step_args=args,
        slowest_item_s=_slowest(ctx.task),
        stateful=_encodes(ctx.task),
    ):
        rows += json.loads(result)["rows"]
    ctx.run.keep_only("predictions", paths)
    ctx.finish("predict", digest=digest, since=start, rows=rows, result={})
    return name


def _slowest(task: LabelingTask) -> float:
    """A text takes an encoder up to some seconds on a CPU, and n-grams a millisecond."""
    return task.shards.max_rows * (2.0 if _encodes(task) else 0.01)


def _encodes(task: LabelingTask) -> bool:
    """Whether texts go through an encoder, which a worker loads once and should not keep afterwards."""
    return task.end_model.encoder is not None
