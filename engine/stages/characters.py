"""A few rows of a few shards, to try on whether the distilled model should look at characters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.distillation.characters import SAMPLE_ROWS, CharacterTrial, try_characters
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.store import digest_of
from operators.features import FeatureSpec
from operators.featurize import FeaturizeShard, features_path
from operators.storage import names_in

_SHARDS = 4
"""Spread over the corpus, since its files may be sorted."""


def tried(
    ctx: Context, corpus: Corpus, *, features: FeatureSpec, args: Mapping[str, Any], slowest_item_s: float
) -> CharacterTrial:
    """Featurize a sample with characters, and train on it with them and without.

    Args:
        ctx: of the run.
        corpus: of the run.
        features: with characters.
        args: of `FeaturizeShard`, but for the features, their digest and the number of rows.
        slowest_item_s: see `Context.stream`.
    """
    shards = corpus.shards
    chosen = [shards[place * len(shards) // min(_SHARDS, len(shards))] for place in range(min(_SHARDS, len(shards)))]
    at_most = -(-SAMPLE_ROWS // len(chosen))
    digest = digest_of("characters", 5, args["labels"], features.to_json(), str(args["text"]), at_most)
    paths = [features_path(ctx.run.shards, shard.key, digest) for shard in chosen]
    present = names_in(ctx.run.shards / "features")
    missing = [s.to_json() for s, path in zip(chosen, paths, strict=True) if path.name not in present]
    more = {"features": features, "digest": digest, "at_most": at_most, "uncovered": False}
    for _ in ctx.stream("distill", missing, FeaturizeShard, step_args={**args, **more}, slowest_item_s=slowest_item_s):
        pass
    spec = ctx.task.end_model
    return try_characters(
        paths,
        features=features,
        num_classes=ctx.task.num_classes,
        regularization=spec.regularization,
        epochs=spec.passes,
    )
