"""Images to scores: embedded once, scored by the concepts, and handed on as a corpus of its own.

What comes out is the task as later stages see it: its rows are the scored ones in the run's own Parquet files, so that
splitting, voting, fitting and evaluation are the same code for images as for texts. Gold, group and nuisance are
carried along for who reads them after the labels are made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from engine.stages.context import Context
from engine.stages.descriptions import descriptions
from engine.stages.embeddings import embed, encode_texts, score_shards
from engine.stages.image_faults import tell_faults
from engine.stages.inputs import Input, Inputs, given
from engine.stages.rows import EMBEDDING, SCORES
from engine.stages.thumbnails import ImageSource
from engine.storage import keep_only
from engine.store import digest_of
from engine.task import LabelingTask
from engine.task_parts import Columns, DataSpec
from operators.corpus.behind import watched
from operators.corpus.files import common_folder
from operators.corpus.plan import Shard, plan_shards
from operators.embed import embeddings_path
from operators.errors import InputError
from operators.featurizer import FeaturizerSpec
from operators.rows import SplitRule
from operators.score import RangeShard, ScoreShard, Texts, scored_path
from operators.storage import Folder, names_in, read_table
from operators.texts import EncodedTexts
from operators.unreached import reached_keys

SHARD_BYTES = 64 << 20
"""Of a shard of encoded images, unless the task says otherwise: some hundreds of photographs."""

_COPIED = ("gold", "group", "nuisance")
"""Columns that are carried along for who reads them after the labels are made."""

SHARD_ROWS = 2048
"""Likewise; of small images, some minutes of a core, which is what a kill costs, and work for more than one actor."""

_AGAIN = "images that could not be reached are tried again"


def score(ctx: Context) -> LabelingTask:
    """Embed and score what is not scored yet.

    Returns:
        the task over the scored rows; `ctx.concepts` and `ctx.images` are set.

    Raises:
        ConfigError: there are no concepts, or the file of them is wrong.
        InputError: the corpus cannot be read, or the featurizer cannot be made.
        LLMError, BudgetReached: as the language model that is asked for concepts.
    """
    start = time.perf_counter()
    task, folder = ctx.task, ctx.run.shards
    column = task.columns.image or "image"
    spec = FeaturizerSpec(use=task.scoring.featurizer, options=task.scoring.options)
    unread: dict[str, str] | None = {} if task.data.on_bad_shard == "skip" else None
    shards = watched(plan_images(task, skipped=unread), column=column)
    ctx.skipped = unread or {}
    ctx.shards = {shard.key: shard for shard in shards}
    ctx.concepts, texts = descriptions(ctx, spec.traits())
    rule = SplitRule(
        column=task.data.split_column,
        train_values=task.data.train_values,
        test_values=task.data.test_values,
        fraction=task.data.test_fraction if task.data.source else 0.0,
    )
    copied = {name: old for name in _COPIED if (old := getattr(task.columns, name)) is not None}
    embeddings = digest_of("embeddings", 2, spec.identity(), column, task.columns.id)
    how = [texts.concepts, texts.normalisation, texts.baselines]
    split = [rule.column, rule.train_values, rule.test_values, rule.fraction]
    asked = digest_of("scored", 1, embeddings, how, split, copied)
    keys = [shard.key for shard in shards]
    inputs = Inputs(
        stage="score",
        version=(1,),
        parts=(
            Input(name="the images", value=keys),
            given("`scoring.featurizer`", spec.identity()),
            given("the concepts", how),
            Input(name="the split or the columns of gold and groups", value=asked),
        ),
    )

    embedded = [embeddings_path(folder, key, embeddings) for key in keys]

    def places(name: str, reached: list[str]) -> list[Folder]:
        return [scored_path(folder, key, name) for key in reached]

    known = ctx.run.record("score")
    scored = "" if known is None else known.result.get("scored", "")
    reached = reached_keys(keys, embedded)
    again = [shard for shard, key in zip(shards, reached, strict=True) if key != shard.key]
    complete = bool(scored) and not again and not _lacking(shards, places(scored, reached))
    if ctx.reuse(inputs, complete=complete, lacking=_AGAIN if again else "") is None:
        unembedded = _lacking(shards, embedded) + again
        args: dict[str, object] = {"folder": str(folder)}
        ids = {"id_column": task.columns.id}
        scorer: FeaturizerSpec | EncodedTexts = spec
        # First, so that texts which cannot be encoded are told before the pass over the images.
        unencoded = unembedded or texts.normalisation == "min_max" or _lacking(shards, places(asked, reached))
        if spec.encodes_texts and unencoded:
            scorer = encode_texts(ctx, spec, texts)
        if unembedded:
            embed(ctx, unembedded, spec, args | ids | {"column": column, "digest": embeddings})
            reached = reached_keys(keys, embedded)
        args |= {"embeddings": embeddings}
        if texts.normalisation == "min_max":
            texts = replace(texts, ranges=_ranges(ctx, shards, scorer, args, texts))
        scored = digest_of("ranged", 1, asked, texts.ranges) if texts.ranges else asked
        unscored = _lacking(shards, places(scored, reached))
        more = {"texts": texts, "split": rule, "copied": copied, "digest": scored}
        for _ in score_shards(ctx, unscored, ScoreShard, scorer, args | ids | more):
            pass
        keep_only(folder / "embeddings", embedded)
        keep_only(folder / "scored", places(scored, reached))
        ctx.run.note(embedding_width=_width(embedded))
        scope = f"{len(unembedded)} of {len(shards)} shards embedded, {len(unscored)} scored"
        rows = sum(s.num_rows for s in unscored)
        ctx.finish(inputs, since=start, rows=rows, result={"scored": scored}, scope=scope)
    paths = places(scored, reached)
    faulty = tell_faults(ctx, paths)
    by_key = {key: replace(shard, key=key) for key, shard in zip(reached, shards, strict=True)}
    ctx.images = ImageSource(shards=by_key, column=column, id_column=task.columns.id, faulty=faulty)
    data = DataSpec(
        source=tuple(str(path) for path in paths),
        split_column="split",
        test_fraction=task.data.test_fraction,
    )
    columns = Columns(text=SCORES, id="id", **{name: name for name in copied})
    return task.model_copy(update={"data": data, "columns": columns})


def plan_images(task: LabelingTask, *, skipped: dict[str, str] | None = None) -> list[Shard]:
    """Cut the images of a task into shards; none is opened.

    Args:
        task: whose images they are.
        skipped: takes {path: why} of tables that cannot be read; without it they are errors.

    Raises:
        InputError: there are none, or a column is missing.
    """
    data, columns = task.data, task.columns
    column = columns.image or "image"
    wanted = [column, columns.id, *(getattr(columns, name) for name in _COPIED), data.split_column]
    base = common_folder([*data.source, *data.train, *data.test])
    bounds = task.shards
    shards: list[Shard] = []
    for files, split in ((data.source, None), (data.train, "train"), (data.test, "test")):
        if files:
            shards += plan_shards(
                files,
                max_rows=bounds.max_rows if "max_rows" in bounds.model_fields_set else SHARD_ROWS,
                max_bytes=bounds.max_bytes if "max_bytes" in bounds.model_fields_set else SHARD_BYTES,
                columns=[name for name in wanted if name is not None],
                sized=[column],
                split=split,
                base=base,
                skipped=skipped,
                of_images=columns.image is None,
            )
    return shards


def _lacking(shards: list[Shard], paths: list[Folder]) -> list[Shard]:
    present = names_in(paths[0].parent)
    return [shard for shard, path in zip(shards, paths, strict=True) if path.name not in present]


def _ranges(
    ctx: Context,
    shards: list[Shard],
    scorer: FeaturizerSpec | EncodedTexts,
    args: Mapping[str, object],
    texts: Texts,
) -> tuple[tuple[float, float], ...]:
    """Find least and largest score of each description over all shards; a monoid, so in whatever order they come."""
    descriptions = tuple(text for concept in texts.concepts for text in concept)
    low, high = np.full(len(descriptions), np.inf), np.full(len(descriptions), -np.inf)
    for told in score_shards(ctx, shards, RangeShard, scorer, {**args, "descriptions": descriptions}):
        for place, (least, largest) in enumerate(json.loads(told)):
            low[place], high[place] = min(low[place], least), max(high[place], largest)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))


def _width(paths: list[Folder]) -> int:
    """Return the length of the embeddings.

    Raises:
        InputError: not one image could be read.
    """
    for path in paths:
        column = read_table(path, [EMBEDDING]).column(EMBEDDING).drop_null()
        if len(column):
            return len(column[0])
    reason = read_table(paths[0], ["image", "fault"]).slice(0, 1).to_pylist()[0]
    raise InputError(f"none of the images could be read; the first, {reason['image']}: {reason['fault']}")
