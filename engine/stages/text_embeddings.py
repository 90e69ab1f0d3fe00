"""Embeddings of texts by a frozen encoder, made once a shard; training and predictions read them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.stages.context import Context
from engine.stages.rows import text_key, text_of
from engine.stages.stream import num_threads, slowest_texts_s
from engine.storage import keep_only
from engine.store import digest_of
from engine.task import LabelingTask
from operators.corpus.plan import Shard
from operators.embed import embeddings_path
from operators.embed_texts import EmbedTexts
from operators.storage import names_in


def embeddings_digest(task: LabelingTask, identity: str) -> str:
    """Return the digest in the names of the embeddings of a task's texts by the encoder of this identity."""
    return digest_of("text embeddings", 2, identity, text_key(task))


def embed_texts(ctx: Context, shards: Sequence[Shard], *, stage: str, digest: str) -> None:
    """Embed the shards that are not embedded yet.

    Args:
        ctx: of a run whose task names an encoder.
        shards: of its corpus.
        stage: whose progress this is.
        digest: see `embeddings_digest`.

    Raises:
        InputError: the encoder cannot be loaded, or a shard cannot be read.
    """
    folder = ctx.run.shards
    present = names_in(folder / "embeddings")
    paths = [embeddings_path(folder, shard.key, digest) for shard in shards]
    missing = [shard for shard, path in zip(shards, paths, strict=True) if path.name not in present]
    if not missing:
        return
    args = {
        "folder": str(folder),
        "text": text_of(ctx.task),
        "id_column": ctx.task.columns.id,
        "encoder": ctx.task.end_model.encoder,
        "digest": digest,
        "threads": num_threads(ctx.session(), len(missing)),
    }
    for _ in ctx.stream(
        stage,
        [shard.to_json() for shard in missing],
        EmbedTexts,
        step_args=args,
        slowest_item_s=slowest_texts_s(missing, encoded=True),
        stateful=True,
        gpus=True,
    ):
        pass


def keep_embeddings(ctx: Context, shards: Sequence[Shard], *, digest: str | None) -> None:
    """Delete the embeddings of another encoder or of other shards; all of them where the task has no encoder now."""
    folder = ctx.run.shards
    wanted = [] if digest is None else [embeddings_path(folder, shard.key, digest) for shard in shards]
    keep_only(folder / "embeddings", wanted)
