"""Distillation: features of the labeled rows, a small model trained on their soft labels, and its predictions."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.distillation.origin import Origin
from engine.distillation.rows import check_max_tokens, feature_spec
from engine.stages.characters import tried
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.inputs import Input, Inputs, given
from engine.stages.rows import distilled_from, text_key
from engine.stages.stream import num_threads, slowest_texts_s
from engine.stages.text_embeddings import embed_texts, embeddings_digest, keep_embeddings
from engine.storage import for_workers, keep_only
from engine.store import digest_of
from operators.corpus.records import Fields
from operators.embed import embeddings_path
from operators.embed_texts import width_of
from operators.encoder_files import encoder_identity
from operators.end_model import EMBEDDED_BY, FIELDS
from operators.featurize import FeaturizeShard, features_path
from operators.models import model_files
from operators.predict import PredictShard, predictions_path
from operators.storage import names_in

MODEL_FILES = ("config.json", "model.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """A trained model and how it came about.

    Attributes:
        folder: of the model.
        digest: of everything that changes it.
        embeddings: digest in the names of the embeddings that it was trained on; None where it reads texts.
        facts: JSON: what was chosen, on what grounds, and the warnings.
    """

    folder: Path
    digest: str
    embeddings: str | None
    facts: dict[str, Any]


def distill(ctx: Context, corpus: Corpus, labels: str, *, origin: Origin) -> Distilled:
    """Train the end model on the covered training rows; gold is not read.

    Args:
        ctx: of the run.
        corpus: of the run.
        labels: digest in the names of the label files.
        origin: of these labels, for the model card.

    Raises:
        EngineError: no row is left to train on.
        InputError: the encoder cannot be loaded.
    """
    start = time.perf_counter()
    task, folder = ctx.task, ctx.run.shards
    model = ctx.run.path / "model"
    spec = task.end_model
    width = ctx.run.noted("embedding_width") if task.modality == "image" else None
    settings = feature_spec(spec, embedding_width=width, columns=tuple(task.columns.fields))
    features = digest_of("features", 4, labels, text_key(task), settings.to_json(), spec.self_training)
    encoder = None if settings.encoder is None else encoder_identity(settings.encoder)
    embeddings = None if encoder is None or settings.kind != "encoder" else embeddings_digest(task, encoder)
    facts: dict[str, Any] = {"task": task.name, "instruction": task.instruction}
    if task.modality == "image":
        # So that `alchemist predict` can embed what was never scored.
        facts[EMBEDDED_BY] = {"use": task.scoring.featurizer, "options": task.scoring.options}
    made_of = distilled_from(task)
    if isinstance(made_of, Fields):
        # So that it reads its columns from other tables and from dicts as it did here.
        facts[FIELDS] = {"columns": list(made_of.columns), "as_json": made_of.as_json}
    knobs = {f"`end_model.{key}`": value for key, value in spec.model_dump().items()}
    inputs = Inputs(
        stage="distill",
        version=(8,),
        parts=(
            Input(
                name="the soft labels",
                value=features,
                settings={"`columns.text`": text_key(task), **knobs},
                made_by=("label",),
            ),
            corpus.as_inputs()[1],
            Input(name="`end_model`", value=spec.model_dump(), settings=knobs),
            given("the class names", task.class_names),
            given("the seed", task.seed),
            Input(
                name="what the model's card says",
                value=facts,
                settings={
                    "the task's name": task.name,
                    "the instruction": task.instruction,
                    "`scoring.featurizer`": facts.get(EMBEDDED_BY),
                    "the fields of a record": facts.get(FIELDS),
                },
            ),
            *([] if encoder is None else [Input(name="the files of `end_model.encoder`", value=encoder)]),
        ),
    )
    digest = inputs.digest
    record = ctx.reuse(inputs, complete=all((model / name).is_file() for name in MODEL_FILES))
    if record is None:
        check_max_tokens(spec)
        # The card is one of a model that nobody has judged yet.
        ctx.run.note(card=None)
        args: dict[str, Any] = {
            "folder": str(folder),
            "labels": labels,
            "text": made_of,
            "id_column": task.columns.id,
            "uncovered": spec.self_training,
            "embeddings": embeddings,
        }
        if encoder is not None:
            features = digest_of(features, encoder)
        told = dict(facts)
        # A tokenizer is loaded once a worker, which should not keep it afterwards.
        tokenized = settings.kind == "tokens"
        slowest_s = slowest_texts_s(corpus.shards, encoded=tokenized)
        if spec.tries_characters and settings.kind == "hashed_ngrams":
            trial = tried(ctx, corpus, features=settings, args=args, slowest_item_s=slowest_s)
            told["characters"] = str(trial)
            settings = feature_spec(spec, characters=trial.help)
            features = digest_of("features", 4, labels, text_key(task), settings.to_json(), spec.self_training)
        args |= {"features": settings, "digest": features}
        num_features = None
        if embeddings is not None:
            embed_texts(ctx, corpus.shards, stage="distill", digest=embeddings)
            # Else the encoder would be loaded to say it.
            num_features = width_of(embeddings_path(folder, corpus.keys[0], embeddings))
        paths = [features_path(folder, shard.key, features) for shard in corpus.shards]
        present = names_in(folder / "features")
        missing = [s.to_json() for s, path in zip(corpus.shards, paths, strict=True) if path.name not in present]
        for _ in ctx.stream(
            "distill",
            missing,
            FeaturizeShard,
            step_args=args,
            slowest_item_s=slowest_s,
            stateful=tokenized,
        ):
            pass
        # Importing torch takes a second or two; a run that has nothing to train does not pay it.
        from engine.distillation.train import choose_trainer
        from engine.distillation.train import distill as train

        # Where an encoder is fine-tuned depends on the GPUs of the cluster.
        if (spec.head, spec.trainer) == ("fine_tune", "auto") or choose_trainer(paths, spec)[0] == "ray":
            ctx.session()
        done = train(
            paths,
            spec=spec,
            class_names=task.class_names,
            seed=task.seed,
            out=model,
            facts=told,
            shared=folder,
            features=settings,
            origin=origin,
            num_features=num_features,
        )
        keep_only(folder / "features", paths)
        if task.modality != "image":
            keep_embeddings(ctx, corpus.shards, digest=embeddings)
        record = ctx.finish(inputs, since=start, rows=done.num_rows, result=done.to_json())
    for warning in record.result.get("warnings", ()):
        ctx.warn(f"distilled model: {warning}")
    return Distilled(folder=model, digest=digest, embeddings=embeddings, facts=record.result)


def predict(ctx: Context, corpus: Corpus, model: Distilled) -> str:
    """Apply the distilled model to every row.

    Returns:
        the digest in the names of the prediction files.
    """
    start = time.perf_counter()
    name = digest_of("predictions", 1, model.digest)
    parts = (Input(name="the distilled model", value=name, made_by=("distill",)), corpus.as_inputs()[1])
    inputs = Inputs(stage="predict", version=(), parts=parts)
    paths = [predictions_path(ctx.run.shards, shard.key, name) for shard in corpus.shards]
    present = names_in(ctx.run.shards / "predictions")
    missing = [shard for shard, path in zip(corpus.shards, paths, strict=True) if path.name not in present]
    if ctx.reuse(inputs, complete=not missing) is not None:
        return name
    if model.embeddings is not None:
        embed_texts(ctx, missing, stage="predict", digest=model.embeddings)
    # A fine-tuned encoder; one that is frozen has seen the texts already.
    encoded = ctx.task.end_model.head == "fine_tune"
    args: dict[str, Any] = {
        "model": for_workers(ctx.run, model.folder, digest=model.digest, names=model_files(model.folder)),
        "folder": str(ctx.run.shards),
        "text": distilled_from(ctx.task),
        "id_column": ctx.task.columns.id,
        "digest": name,
        "embeddings": model.embeddings,
        "threads": num_threads(ctx.session(), len(missing)) if encoded and missing else 1,
    }
    rows = 0
    for result in ctx.stream(
        "predict",
        [shard.to_json() for shard in missing],
        PredictShard,
        step_args=args,
        slowest_item_s=slowest_texts_s(missing, encoded=encoded),
        stateful=encoded,
        gpus=encoded,
    ):
        rows += json.loads(result)["rows"]
    keep_only(ctx.run.shards / "predictions", paths)
    scope = f"{len(missing)} of {len(paths)} shards"
    ctx.finish(inputs, since=start, rows=rows, result={}, scope=scope)
    return name
