"""Embeddings of a shard to rows that programs, the distilled model and the evaluation read; no image is opened.

What comes out is a corpus of its own, in Parquet: scores as JSON for programs, the embedding as text for the distilled
model, and the columns of the user's data that later stages name. So everything after it is as it is for texts.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.commit import commit_table
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.corpus.records import Fields
from operators.embed import embeddings_path
from operators.errors import InputError
from operators.featurizer import FeaturizerSpec, scores_of
from operators.rows import SplitRule, on_test_side
from operators.storage import Folder, folder_of, read_table
from operators.texts import EncodedTexts
from operators.unreached import reached_key, unreached_rows

_DECIMALS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What rows are scored by.

    Attributes:
        concepts: the descriptions of each concept, in the order of the scores.
        normalisation: `softmax` over the descriptions of a concept; `min_max` to 0..1 over all rows, a description at a
            time; `none` for the featurizer's own scale.
        baselines: {name: (prompt, class) pairs}; the class of the prompt that fits best is the baseline's answer.
        ranges: with `min_max`, least and largest score of each description, in the order of the descriptions.
    """

    concepts: tuple[tuple[str, ...], ...]
    normalisation: Literal["softmax", "min_max", "none"]
    baselines: dict[str, tuple[tuple[str, int], ...]]
    ranges: tuple[tuple[float, float], ...] = ()

    def all(self) -> tuple[str, ...]:
        """List each text once."""
        described = [text for concept in self.concepts for text in concept]
        prompts = [prompt for pairs in self.baselines.values() for prompt, _ in pairs]
        return tuple(dict.fromkeys([*described, *prompts]))


class ScoreShard:
    """Step: write `scored/<shard>-<digest>.parquet`, in the order of the shard, by its `reached_key`.

    Columns: id, image (its name), scores (a JSON list in the order of the descriptions, null where the row cannot be
    read), embedding (float16 as base64, null likewise), split (train or test), fault, a column int8 for each baseline,
    and the columns `copied` under their new names.
    """

    def __init__(
        self,
        *,
        folder: str,
        embeddings: str,
        id_column: str | None,
        featurizer: FeaturizerSpec | EncodedTexts,
        texts: Texts,
        split: SplitRule,
        copied: dict[str, str],
        digest: str,
    ) -> None:
        self._folder = folder_of(folder)
        self._embeddings = embeddings
        self._id = id_column
        self._featurizer = featurizer.make()
        self._use = featurizer.use
        self._texts = texts
        self._split = split
        self._copied = dict(copied)
        self._digest = digest

    def __call__(self, item: str) -> bytes:
        """Score shard `item`, a Shard as JSON.

        Returns:
            JSON {"rows", "faults": [[image, why]]}.

        Raises:
            InputError: the shard has changed since it was embedded, the split column holds an unknown value, or the
                featurizer gave no scores.
        """
        shard = Shard.from_json(item)
        table = read_table(embeddings_path(self._folder, shard.key, self._embeddings))
        good = table.column("embedding").is_valid().to_numpy()
        halves = _embeddings(table)
        names = _names(table)
        columns = {name: table.column(name) for name in ("id", "image", "fault")}
        columns["scores"] = _spread(self._scores(halves, names), good)
        columns["embedding"] = _spread([b64encode(row.tobytes()).decode() for row in halves], good)
        for name, prompts in self._texts.baselines.items():
            columns[name] = self._answers(halves, prompts, good, names)
        others = self._others(shard, table)
        columns["split"] = pa.array(np.where(on_test_side(others, shard, self._split), "test", "train").tolist())
        columns |= {new: others.column(old) for new, old in self._copied.items()}
        key = reached_key(shard.key, unreached_rows(table.schema))
        commit_table(scored_path(self._folder, key, self._digest), pa.table(columns))
        faults = [[row["image"], row["fault"]] for row in table.select(["image", "fault"]).to_pylist() if row["fault"]]
        return json.dumps({"rows": table.num_rows, "faults": faults}).encode()

    def _scores(self, embeddings: npt.NDArray[np.float16], names: Sequence[str]) -> list[str]:
        if not len(embeddings):
            return []
        parts = []
        for descriptions in self._texts.concepts:
            scores = scores_of(self._featurizer, embeddings, descriptions, names=names, use=self._use)
            if self._texts.normalisation == "softmax":
                scores = np.exp(scores - scores.max(axis=1, keepdims=True))
                scores /= scores.sum(axis=1, keepdims=True)
            parts.append(scores)
        if self._texts.normalisation == "min_max":
            low, high = np.array(self._texts.ranges).T
            # A description that fits all rows alike says nothing: all are in the middle.
            wide = np.where(high > low, high - low, 1.0)
            scaled = np.clip((np.concatenate(parts, axis=1) - low) / wide, 0, 1)
            parts = [np.where(high > low, scaled, 0.5)]
        return [json.dumps(row) for row in np.concatenate(parts, axis=1).round(_DECIMALS).tolist()]

    def _answers(
        self,
        embeddings: npt.NDArray[np.float16],
        prompts: Sequence[tuple[str, int]],
        good: npt.NDArray[np.bool_],
        names: Sequence[str],
    ) -> pa.Array:
        answers = np.zeros(len(good), np.int8)
        if len(embeddings):
            texts = [prompt for prompt, _ in prompts]
            best = scores_of(self._featurizer, embeddings, texts, names=names, use=self._use).argmax(axis=1)
            answers[good] = np.array([label for _, label in prompts], np.int8)[best]
        return pa.array(answers, mask=~good)

    def _others(self, shard: Shard, table: pa.Table) -> pa.Table:
        """Read the columns of the user's data that are wanted, beside what a split by hash goes by."""
        wanted = [*self._copied.values(), *([] if self._split.column is None else [self._split.column])]
        names = list(dict.fromkeys(wanted))
        # By content, so that copies of an image are on one side of the split; a missing image goes by its name.
        pairs = zip(table.column("content").to_pylist(), table.column("image").to_pylist(), strict=True)
        texts = {"text": pa.array([content or name for content, name in pairs], pa.large_string())}
        if not names:
            return pa.table(texts)
        read = read_shard(shard, text=Fields(columns=tuple(names)), id=self._id, extra=names)
        if read.num_rows != table.num_rows:
            raise InputError(f"shard {shard.key}: {table.num_rows} rows were embedded, {read.num_rows} are there")
        return pa.table(texts | {name: read.column(name) for name in names})


class RangeShard:
    """Step: find least and largest score of each description in one shard; writes nothing."""

    def __init__(
        self, *, folder: str, embeddings: str, featurizer: FeaturizerSpec | EncodedTexts, descriptions: Sequence[str]
    ) -> None:
        self._folder = folder_of(folder)
        self._embeddings = embeddings
        self._featurizer = featurizer.make()
        self._use = featurizer.use
        self._descriptions = tuple(descriptions)

    def __call__(self, item: str) -> bytes:
        """Look at shard `item`, a Shard as JSON; returns JSON [[low, high] of each description], [] without a row."""
        shard = Shard.from_json(item)
        table = read_table(embeddings_path(self._folder, shard.key, self._embeddings))
        rows, names = _embeddings(table), _names(table)
        if not len(rows):
            return b"[]"
        scores = scores_of(self._featurizer, rows, self._descriptions, names=names, use=self._use)
        return json.dumps(np.stack([scores.min(axis=0), scores.max(axis=0)], axis=1).tolist()).encode()


def _embeddings(table: pa.Table) -> npt.NDArray[np.float16]:
    """Return the embeddings of the rows that have one."""
    kept = table.column("embedding").combine_chunks().drop_null()
    if not len(kept):
        return np.zeros((0, 0), np.float16)
    return np.asarray(kept.flatten().to_numpy(zero_copy_only=False), np.float16).reshape(len(kept), -1)


def _names(table: pa.Table) -> list[str]:
    """Return the names of the rows that have an embedding."""
    names: list[str] = table.column("image").filter(table.column("embedding").is_valid()).to_pylist()
    return names


def scored_path(folder: Folder, shard_key: str, digest: str) -> Folder:
    """Where the scored rows of a shard stand; `digest` covers embeddings, texts, split and the columns copied."""
    return folder / "scored" / f"{shard_key}-{digest}.parquet"


def _spread(values: list[str], good: npt.NDArray[np.bool_]) -> pa.Array:
    out: list[str | None] = [None] * len(good)
    for place, value in zip(np.flatnonzero(good).tolist(), values, strict=True):
        out[place] = value
    return pa.array(out, pa.large_string())
