"""A distilled model over a corpus of its own, outside any labeling run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.session import connect
from engine.errors import ConfigError
from engine.stages.stream import Stream, Watch, num_actors
from engine.storage import for_workers, keep_only, place_shards
from engine.store import RunDirectory, digest_of
from engine.task_parts import ShardSpec
from operators.corpus.plan import plan_shards
from operators.corpus.records import Fields, columns_of
from operators.end_model import read_config
from operators.errors import InputError
from operators.features import FeatureSpec
from operators.models import model_files
from operators.predict import PredictShard, predictions_path
from operators.storage import names_in

_PATIENCE_S = 300.0
"""Without a shard for so long, something is stuck."""


def predict_files(
    model: Path,
    data: Sequence[str],
    *,
    out: Path,
    text: str,
    id_column: str | None,
    address: str | None,
    watch: Watch,
    storage: str | None = None,
) -> dict[str, Any]:
    """Apply a model to a corpus, into `out/predictions`; see `engine.pipeline.predict_corpus`.

    Raises:
        ConfigError: `model` is no folder of a distilled model, or `out` is used by another run.
        InputError: the corpus cannot be read.
    """
    bounds = ShardSpec()
    read = _read_from(model, text)
    columns = [*columns_of(read), *([] if id_column is None else [id_column])]
    shards = plan_shards(data, max_rows=bounds.max_rows, max_bytes=bounds.max_bytes, columns=columns)
    model_digest = _digest_of_model(model)
    name = digest_of("predictions", 1, model_digest, text, id_column)
    with RunDirectory(out) as run:
        before = run.noted("data")
        if run.noted("task") is not None or before not in (None, list(data)):
            other = "a labeling run" if before is None else f"the predictions over {', '.join(before)}"
            raise ConfigError(f"{out}: holds {other}; name another folder with --out")
        run.shards = place_shards(run, storage)
        run.note(model=str(model.resolve()), data=list(data))
        paths = [predictions_path(run.shards, shard.key, name) for shard in shards]
        present = names_in(run.shards / "predictions")
        missing = [s.to_json() for s, path in zip(shards, paths, strict=True) if path.name not in present]
        if missing:
            args = {
                "model": for_workers(run, model, digest=model_digest, names=model_files(model)),
                "folder": str(run.shards),
                "text": read,
                "id_column": id_column,
                "digest": name,
            }
            with connect(address) as session:
                known = {shard.key: shard for shard in shards}
                stream = Stream(stage="predict", run=run.path.name, watch=watch, session=session, shards=known)
                actors = num_actors(session.num_cpus, len(missing))
                for _ in stream(missing, PredictShard, step_args=args, num_actors=actors, patience_s=_PATIENCE_S):
                    pass
        keep_only(run.shards / "predictions", paths)
    return {
        "rows": sum(shard.num_rows for shard in shards),
        "shards": len(shards),
        "reused": len(shards) - len(missing),
        "out": str(out) if run.shards == run.path else str(run.shards),
    }


def _read_from(model: Path, text: str) -> str | Fields:
    """Return where a row's text comes from: the column that is named, or the columns that the model knows."""
    try:
        features = FeatureSpec.from_json(read_config(model)["features"])
    except InputError as error:
        raise ConfigError(str(error)) from error
    return Fields(columns=features.columns, as_json=True) if features.columns else text


def _digest_of_model(model: Path) -> str:
    digest = hashlib.sha256()
    try:
        names = model_files(model)
    except InputError as error:
        raise ConfigError(str(error)) from error
    for name in names:
        digest.update((model / name).read_bytes())
    return digest.hexdigest()
