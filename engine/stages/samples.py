"""Rows for people to look at, from a few shards spread over the corpus: enough to see, and of bounded size."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.reporting.parts import Sample, Samples
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.label import Labeled
from engine.stages.rows import text_of
from operators.corpus.read import read_shard
from operators.label import labels_path
from operators.storage import read_table

_SHARDS = 3
_SAMPLES = 5
_EXCERPT_CHARS = 300


@dataclass(slots=True)
class _Kind:
    """Candidates of one kind, with what they are sorted by."""

    found: list[tuple[float, str, Sample]] = field(default_factory=list)

    def take(self) -> tuple[Sample, ...]:
        return tuple(sample for _, _, sample in sorted(self.found, key=lambda entry: entry[:2])[:_SAMPLES])


def pick(ctx: Context, corpus: Corpus, labeled: Labeled) -> Samples:
    """Pick rows of each kind: most certain, most contested, overruled and uncovered."""
    places = sorted({round(i * (len(corpus.shards) - 1) / max(1, _SHARDS - 1)) for i in range(_SHARDS)})
    certain, contested, overruled, uncovered = _Kind(), _Kind(), _Kind(), _Kind()
    for place in places:
        shard = corpus.shards[place]
        texts = read_shard(shard, text=text_of(ctx.task), id=ctx.task.columns.id).column("text")
        labels = read_table(labels_path(ctx.run.shards, shard.key, labeled.digest))
        confidence = labels.column("confidence").to_numpy()
        reasons = labels.column("reason").to_numpy(zero_copy_only=False)
        # What the annotator labeled has no confidence that could be compared.
        has_vote = np.isin(reasons, ["labeled", "tie"])
        changed = labels.column("label").to_numpy() != labels.column("majority_label").to_numpy()
        for kind, rows, key in (
            (certain, has_vote, -confidence),
            (contested, has_vote, confidence),
            (overruled, has_vote & changed, -confidence),
            (uncovered, reasons == "uncovered", 0 * confidence),
        ):
            _add(kind, rows, key, texts=texts, labels=labels, names=ctx.task.class_names)
    return Samples(
        most_certain=certain.take(),
        most_contested=contested.take(),
        overruled=overruled.take(),
        uncovered=uncovered.take(),
    )


def _add(
    kind: _Kind,
    chosen: npt.NDArray[np.bool_],
    key: npt.NDArray[np.float32],
    *,
    texts: pa.ChunkedArray,
    labels: pa.Table,
    names: tuple[str, ...],
) -> None:
    rows = np.flatnonzero(chosen)
    for row in rows[np.argsort(key[rows], kind="stable")][:_SAMPLES].tolist():
        text, label = texts[row].as_py(), labels.column("label")[row].as_py()
        sample = Sample(
            id=labels.column("id")[row].as_py(),
            text=None if text is None else text[:_EXCERPT_CHARS],
            label=None if label < 0 else names[label],
            confidence=float(labels.column("confidence")[row].as_py()),
        )
        kind.found.append((float(key[row]), str(sample.id), sample))
