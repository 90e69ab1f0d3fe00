"""Soft labels: the label model over every shard's votes."""

from __future__ import annotations

import json
import time
from collections import Counter

from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.fit import Models
from engine.stages.votes import Voted
from engine.store import digest_of
from operators.label import LabelShard, labels_path


def label(ctx: Context, corpus: Corpus, voted: Voted, models: Models) -> str:
    """Write the labels of every shard.

    Returns:
        the digest in the names of the label files.
    """
    start = time.perf_counter()
    name = digest_of("labels", 1, corpus.rows, models.digest)
    digest = digest_of("label", name, corpus.keys)
    paths = {key: labels_path(ctx.run.path, key, name) for key in corpus.keys}
    missing = [key for key, path in paths.items() if not path.exists()]
    if not missing and ctx.reuse("label", digest) is not None:
        return name
    args = {
        "folder": str(ctx.run.path),
        "rows": corpus.rows,
        "program_keys": voted.keys,
        "evidence": models.chosen.evidence,
        "digest": name,
    }
    reasons: Counter[str] = Counter()
    for result in ctx.stream("label", missing, LabelShard, step_args=args):
        reasons.update(json.loads(result))
    # `labels/` is read as one dataset, so it holds the labels of this state of the run alone.
    ctx.run.keep_only("labels", paths.values())
    ctx.finish("label", digest=digest, since=start, rows=sum(reasons.values()), result={})
    return name
