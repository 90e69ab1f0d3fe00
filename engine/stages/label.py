"""Soft labels: the label model over every shard's votes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from engine.stages.annotate import Annotated
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.fit import Models
from engine.stages.inputs import Input, Inputs
from engine.stages.votes import Voted
from engine.storage import keep_only
from engine.store import digest_of
from operators.label import LabelCounts, LabelShard, labels_path, read_counts
from operators.storage import map_files, names_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeled:
    """The labels of a run.

    Attributes:
        digest: in the names of the label files.
        counts: rows by hard label, ours and majority vote's.
    """

    digest: str
    counts: LabelCounts


def label(ctx: Context, corpus: Corpus, voted: Voted, models: Models, annotated: Annotated | None) -> Labeled:
    """Write the labels of every shard; rows that the annotator was to label take its label."""
    start = time.perf_counter()
    taken = annotated.digest if annotated is not None and ctx.task.annotate.label_rest else None
    name = digest_of("labels", 3, corpus.rows, models.digest, taken)
    made_by = ("index", "fit") if taken is None else ("index", "fit", "annotate")
    parts = (Input(name="the label model", value=name, made_by=made_by), *corpus.as_inputs()[1:])
    inputs = Inputs(stage="label", version=(), parts=parts)
    paths = {key: labels_path(ctx.run.shards, key, name) for key in corpus.keys}
    present = names_in(ctx.run.shards / "labels")
    missing = [key for key, path in paths.items() if path.name not in present]
    record = ctx.reuse(inputs, complete=not missing)
    if record is not None:
        return Labeled(digest=name, counts=LabelCounts.from_json(json.dumps(record.result["counts"])))
    args = {
        "folder": str(ctx.run.shards),
        "rows": corpus.rows,
        "program_keys": voted.keys,
        "evidence": models.chosen.evidence,
        "majority": models.majority.evidence,
        "digest": name,
        "annotations": taken,
    }
    for _ in ctx.stream("label", missing, LabelShard, step_args=args):
        pass
    # `labels/` is read as one dataset, so it holds the labels of this state of the run alone.
    keep_only(ctx.run.shards / "labels", paths.values())
    counts = sum(map_files(read_counts, list(paths.values())), start=LabelCounts.zero(ctx.task.num_classes))
    files = [paths[key].name for key in corpus.keys]
    rows = sum(shard.num_rows for shard in corpus.shards if shard.key in set(missing))
    scope = f"{len(missing)} of {len(paths)} shards"
    ctx.finish(inputs, since=start, rows=rows, result={"counts": counts.to_json(), "files": files}, scope=scope)
    return Labeled(digest=name, counts=counts)
