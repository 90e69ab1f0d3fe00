"""A distilled model over a corpus of its own, outside any labeling run."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.session import connect
from engine.errors import ConfigError
from engine.stages.embeddings import cores, slowest_shard_s
from engine.stages.score import SHARD_BYTES, SHARD_ROWS
from engine.stages.stream import (
    Stream,
    Watch,
    num_actors,
    num_network_actors,
    num_threads,
    slowest_texts_s,
    within_memory,
)
from engine.storage import for_workers, keep_only, place_shards
from engine.store import RunDirectory, digest_of
from engine.task_parts import ShardSpec
from operators.corpus.behind import watched
from operators.corpus.plan import Shard, plan_shards
from operators.corpus.records import Fields, columns_of
from operators.encoder_files import encoder_identity
from operators.end_model import embedded_by, fields_of, read_config, readable
from operators.errors import InputError
from operators.features import FeatureSpec
from operators.featurizer import FeaturizerSpec
from operators.models import model_files
from operators.predict import PredictShard, predictions_path
from operators.predict_images import PredictImages
from operators.storage import names_in, read_table
from operators.unreached import unreached_among

logger = logging.getLogger(__name__)

_PATIENCE_S = 300.0
"""Without a shard for so long, something is stuck."""


def predict_files(
    model: Path,
    data: Sequence[str],
    *,
    out: Path,
    text: str | None,
    image: str | None,
    id_column: str | None,
    address: str | None,
    watch: Watch,
    storage: str | None = None,
) -> dict[str, Any]:
    """Apply a model to a corpus, into `out/predictions`; see `engine.pipeline.predict_corpus`.

    Raises:
        ConfigError: `model` is no folder of a distilled model or not one for such data, or `out` is used by another
            run.
        InputError: the corpus cannot be read, or the encoder of the model is not there.
    """
    model_digest = _digest_of_model(model)
    column, featurizer, features = _reads(model, text=text, image=image)
    columns = columns_of(column)
    shards = _planned(data, columns, id_column, of_images=featurizer is not None, of_files=image is None)
    made_by = [] if featurizer is None else [featurizer.identity(), 2]
    if features.kind == "encoder" and features.encoder is not None:
        # A folder elsewhere, and no part of the model's.
        made_by.append(encoder_identity(features.encoder))
    name = digest_of("predictions", 1, model_digest, *columns, id_column, *made_by)
    with RunDirectory(out) as run:
        before = run.noted("data")
        if run.noted("task") is not None or before not in (None, list(data)):
            other = "a labeling run" if before is None else f"the predictions over {', '.join(before)}"
            raise ConfigError(f"{out}: holds {other}; name another folder with --out")
        run.shards = place_shards(run, storage)
        run.note(model=str(model.resolve()), data=list(data))
        paths = [predictions_path(run.shards, shard.key, name) for shard in shards]
        present = names_in(run.shards / "predictions")
        again = unreached_among(paths) if featurizer is not None else [()] * len(paths)
        missing = [
            shard for shard, path, rows in zip(shards, paths, again, strict=True) if path.name not in present or rows
        ]
        if missing:
            args: dict[str, Any] = {
                "model": for_workers(run, model, digest=model_digest, names=model_files(model)),
                "folder": str(run.shards),
                "id_column": id_column,
                "digest": name,
            }
            args |= {"text": column} if featurizer is None else {"column": column, "featurizer": featurizer}
            with connect(address) as session:
                known = {shard.key: shard for shard in shards}
                stream = Stream(stage="predict", run=run.path.name, watch=watch, session=session, shards=known)
                predict_shards(stream, missing, args, featurizer=featurizer, encoded=features.encoder is not None)
        keep_only(run.shards / "predictions", paths)
        done: dict[str, Any] = {
            "rows": sum(shard.num_rows for shard in shards),
            "shards": len(shards),
            "reused": len(shards) - len(missing),
            "out": str(out) if run.shards == run.path else str(run.shards),
        }
        if featurizer is not None:
            faults = (read_table(path, ["fault"]).column("fault") for path in paths)
            done["unreadable"] = sum(len(column) - column.null_count for column in faults)
    return done


def predict_shards(
    stream: Stream,
    missing: Sequence[Shard],
    args: Mapping[str, Any],
    *,
    featurizer: FeaturizerSpec | None,
    encoded: bool,
) -> None:
    """Predict shards, on GPUs where a network computes and the cluster has any.

    Args:
        stream: of the stage.
        missing: at least one.
        args: of `PredictImages` or `PredictShard`, but for the cores that it has.
        featurizer: of images; None where rows are texts.
        encoded: whether these go through an encoder.
    """
    session, memory = stream.session, None if featurizer is None else featurizer.memory_bytes()
    computes = featurizer is not None or encoded
    actors = num_network_actors(session, len(missing)) if computes else num_actors(session.num_cpus, len(missing))
    if featurizer is not None:
        args, slowest = {**args, **cores(session, len(missing), memory)}, slowest_shard_s(missing)
    else:
        slowest = slowest_texts_s(missing, encoded=encoded)
        if encoded:
            args = {**args, "threads": num_threads(session, len(missing))}
    if memory is not None:
        actors, memory, trouble = within_memory(session, actors, memory)
        if trouble:
            logger.warning("predict: %s", trouble)
    for _ in stream(
        [shard.to_json() for shard in missing],
        PredictShard if featurizer is None else PredictImages,
        step_args=args,
        num_actors=actors,
        patience_s=max(_PATIENCE_S, slowest),
        memory_bytes=memory,
        num_gpus=float(computes and session.num_gpus > 0),
    ):
        pass


def _planned(
    data: Sequence[str], columns: Sequence[str], id_column: str | None, *, of_images: bool, of_files: bool
) -> list[Shard]:
    bounds = ShardSpec()
    shards = plan_shards(
        data,
        max_rows=SHARD_ROWS if of_images else bounds.max_rows,
        max_bytes=SHARD_BYTES if of_images else bounds.max_bytes,
        columns=[*columns, *([] if id_column is None else [id_column])],
        of_images=of_images and of_files,
    )
    return watched(shards, column=columns[0]) if of_images else shards


def _reads(
    model: Path, *, text: str | None, image: str | None
) -> tuple[str | Fields, FeaturizerSpec | None, FeatureSpec]:
    """Return where a row comes from, what embeds the images of a corpus, and the features of the model.

    The first is the column that is named, or the fields that the model knows; the second is None where rows are
    texts, or embeddings made before.
    """
    try:
        config = read_config(model)
        with readable(model):
            features, spec = FeatureSpec.from_json(config["features"]), embedded_by(config)
            fields = fields_of(features, config)
    except InputError as error:
        raise ConfigError(str(error)) from error
    if fields is not None:
        for option, named in (("--text", text), ("--image", image)):
            if named is not None:
                raise ConfigError(
                    f"{model}: reads the columns {', '.join(fields.columns)}, so `{option} {named}` has no meaning; "
                    "leave it out"
                )
        return fields, None, features
    if features.kind != "embedding":
        if image is not None:
            raise ConfigError(f"{model}: reads texts, so `--image {image}` has no meaning; name the column with --text")
        return text or "text", None, features
    if text is not None and image is not None:
        raise ConfigError("--text names a column of embeddings made before, --image one of images; give one of them")
    if text is None and spec is None:
        raise ConfigError(
            f"{model}: does not say what embedded its images, as an earlier version distilled it; distill it again, or "
            "give it the files in `scored/` of a run with --text embedding"
        )
    return (image or "image", spec, features) if text is None else (text, None, features)


def _digest_of_model(model: Path) -> str:
    digest = hashlib.sha256()
    try:
        names = model_files(model)
    except InputError as error:
        raise ConfigError(str(error)) from error
    for name in names:
        digest.update((model / name).read_bytes())
    return digest.hexdigest()
