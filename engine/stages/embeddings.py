"""The steps from images to scores on the cluster: which of them take a model, and with it memory, cores and GPUs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from cluster.session import Session
from engine.stages.context import Context
from engine.stages.stream import num_decoders, num_threads
from operators.corpus.plan import Shard
from operators.embed import EmbedShard
from operators.featurizer import FeaturizerSpec
from operators.score import Texts
from operators.texts import EncodedTexts, EncodeTexts, encoded

_SLOWEST_ROW_S = 5.0
"""An image through a large model on one core."""

_FETCHED_S = 1800.0
"""Weights by a tag are downloaded by the first actor that makes the model."""


def slowest_shard_s(shards: Sequence[Shard]) -> float:
    """Return how long one shard of images may rightly take; 0 for none."""
    return max((shard.num_rows for shard in shards), default=0) * _SLOWEST_ROW_S


def cores(session: Session, num_items: int, memory_bytes: int | None) -> dict[str, int]:
    """Return the arguments of a step over images that say what each actor has for computing and for decoding."""
    return {
        "threads": num_threads(session, num_items, memory_bytes),
        "decoders": num_decoders(session, num_items, memory_bytes),
    }


def encode_texts(ctx: Context, spec: FeaturizerSpec, texts: Texts) -> EncodedTexts:
    """Encode all texts in one call, so that no actor that scores loads a model for them."""
    every = texts.all()
    (told,) = ctx.stream(
        "score",
        [json.dumps(every)],
        EncodeTexts,
        step_args={"featurizer": spec},
        slowest_item_s=_FETCHED_S,
        memory_bytes=spec.memory_bytes(),
        stateful=True,
        gpus=True,
    )
    return encoded(spec, every, told)


def embed(ctx: Context, shards: Sequence[Shard], spec: FeaturizerSpec, args: Mapping[str, object]) -> None:
    """Embed at least one shard of images."""
    memory = spec.memory_bytes()
    for _ in ctx.stream(
        "score",
        [shard.to_json() for shard in shards],
        EmbedShard,
        step_args={**args, "featurizer": spec, **cores(ctx.session(), len(shards), memory)},
        slowest_item_s=slowest_shard_s(shards),
        memory_bytes=memory,
        stateful=True,
        gpus=True,
    ):
        pass


def score_shards(
    ctx: Context,
    shards: Sequence[Shard],
    step: type,
    scorer: FeaturizerSpec | EncodedTexts,
    args: Mapping[str, object],
) -> Iterator[bytes]:
    """Run a step over stored embeddings; in actors with a model where texts cannot be encoded apart."""
    model = scorer if isinstance(scorer, FeaturizerSpec) else None
    return ctx.stream(
        "score",
        [shard.to_json() for shard in shards],
        step,
        step_args={**args, "featurizer": scorer},
        slowest_item_s=slowest_shard_s(shards),
        memory_bytes=None if model is None else model.memory_bytes(),
        stateful=model is not None,
        gpus=model is not None,
    )
