"""Soft labels of a shard: the posterior of its votes, committed with ids, confidence and reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from operators.commit import commit_table
from operators.posterior import Evidence, hard_labels, soft_labels
from operators.rows import rows_path
from operators.schema import Floats
from operators.votes import VoteStore

_COUNTS = b"label_counts"


class LabelShard:
    """Step: write `labels/<shard>-<digest>.parquet`.

    Columns: id, soft_label (list of k floats), label (int8, -1 where there is none), confidence (the largest soft
    label), reason ("labeled", "tie" or "uncovered"), is_test.
    """

    def __init__(self, *, folder: str, rows: str, program_keys: Sequence[str], evidence: Evidence, digest: str) -> None:
        self._folder = Path(folder)
        self._rows = rows
        self._program_keys = tuple(program_keys)
        self._evidence = evidence
        self._digest = digest

    def __call__(self, item: str) -> bytes:
        """Label shard `item`, a shard key; returns nothing, as the counts are in the footer of the file."""
        rows = pq.read_table(rows_path(self._folder, item, self._rows), columns=["id", "is_test"])
        votes, _ = VoteStore(self._folder).read(item, self._program_keys)
        soft = soft_labels(votes, self._evidence)
        labels, reasons = hard_labels(soft, votes)
        table = pa.table(
            {
                "id": rows.column("id"),
                "soft_label": list_column(soft),
                "label": pa.array(labels, pa.int8()),
                "confidence": pa.array(soft.max(axis=1), pa.float32()),
                "reason": pa.array(reasons, pa.string()),
                "is_test": rows.column("is_test"),
            }
        )
        counts = [int((labels == y).sum()) for y in range(self._evidence.num_classes)]
        metadata = {_COUNTS: json.dumps(counts)}
        commit_table(labels_path(self._folder, item, self._digest), table.replace_schema_metadata(metadata))
        return b""


def read_counts(path: Path) -> list[int]:
    """Return how many rows of a labeled shard have each class as hard label, (k,)."""
    counts: list[int] = json.loads(pq.read_schema(path).metadata[_COUNTS])
    return counts


def labels_path(folder: Path, shard_key: str, digest: str) -> Path:
    """Where the labels of a shard stand."""
    return folder / "labels" / f"{shard_key}-{digest}.parquet"


def list_column(values: Floats) -> pa.Array:
    """Turn (n, k) numbers into a column of lists of k."""
    n, k = values.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * k)
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(values, dtype=np.float64).reshape(-1)))
