"""Soft labels of a shard: the posterior of its votes, committed with ids, confidence and reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.annotate import annotations_path
from operators.commit import commit_table
from operators.posterior import Evidence, hard_labels, soft_labels
from operators.rows import rows_path
from operators.schema import ABSTAIN, Counts, Floats
from operators.storage import Folder, folder_of, read_schema, read_table
from operators.votes import VoteStore

_COUNTS = b"label_counts"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelCounts:
    """Rows of labels; a monoid.

    Attributes:
        against_majority: (k+1, k+1) int64, covered rows by majority vote's label, then by the label model's; the
            last place is none, for a tie.
        uncovered: rows without a vote.
        annotated: (k+1, k) int64, rows labeled by the annotator, by the label model's label, then by the annotator's;
            they stand in the other counts as the label model has them.
    """

    against_majority: Counts
    uncovered: int
    annotated: Counts

    @classmethod
    def zero(cls, num_classes: int) -> LabelCounts:
        """Return the counts of no rows."""
        return cls(
            against_majority=np.zeros((num_classes + 1, num_classes + 1), np.int64),
            uncovered=0,
            annotated=np.zeros((num_classes + 1, num_classes), np.int64),
        )

    def __add__(self, other: LabelCounts) -> LabelCounts:
        return LabelCounts(
            against_majority=self.against_majority + other.against_majority,
            uncovered=self.uncovered + other.uncovered,
            annotated=self.annotated + other.annotated,
        )

    def to_json(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "against_majority": self.against_majority.tolist(),
            "uncovered": self.uncovered,
            "annotated": self.annotated.tolist(),
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> LabelCounts:
        """Read what `to_json` returned, written as JSON."""
        content = json.loads(text)
        return cls(
            against_majority=np.array(content["against_majority"], np.int64),
            uncovered=int(content["uncovered"]),
            annotated=np.array(content["annotated"], np.int64),
        )

    @property
    def labels(self) -> Counts:
        """(k,) rows by hard label."""
        before, now = self.annotated.sum(axis=1)[:-1], self.annotated.sum(axis=0)
        labels: Counts = self.against_majority.sum(axis=0)[:-1] - before + now
        return labels


class LabelShard:
    """Step: write `labels/<shard>-<digest>.parquet`.

    Columns: id, soft_label (list of k floats), label (int8, -1 where there is none), confidence (the largest soft
    label), reason ("labeled", "tie", "uncovered", or "llm" where the annotator's label, given all belief, stands in the
    place of the label model's), majority_label (int8, what majority vote says, -1 for none),
    is_test.
    """

    def __init__(
        self,
        *,
        folder: str,
        rows: str,
        program_keys: Sequence[str],
        evidence: Evidence,
        majority: Evidence,
        digest: str,
        annotations: str | None = None,
    ) -> None:
        self._folder = folder_of(folder)
        self._votes = VoteStore(self._folder)
        self._rows = rows
        self._program_keys = tuple(program_keys)
        self._evidence = evidence
        self._majority = majority
        self._digest = digest
        self._annotations = annotations

    def __call__(self, item: str) -> bytes:
        """Label shard `item`, a shard key; returns nothing, as the counts are in the footer of the file."""
        rows = read_table(rows_path(self._folder, item, self._rows), columns=["id", "is_test"])
        votes, _ = self._votes.read(item, self._program_keys)
        soft = soft_labels(votes, self._evidence)
        labels, reasons = hard_labels(soft, votes)
        plain, _ = hard_labels(soft_labels(votes, self._majority), votes)
        covered = reasons != "uncovered"
        changes = np.zeros((self._evidence.num_classes + 1,) * 2, np.int64)
        # ABSTAIN is -1 and so counts in the last place.
        np.add.at(changes, (plain[covered], labels[covered]), 1)
        annotated = np.zeros((self._evidence.num_classes + 1, self._evidence.num_classes), np.int64)
        if self._annotations is not None:
            places, given = _annotated(annotations_path(self._folder, item, self._annotations))
            np.add.at(annotated, (labels[places], given), 1)
            labels[places], reasons[places] = given, "llm"
            soft[places] = np.eye(self._evidence.num_classes)[given]
        table = pa.table(
            {
                "id": rows.column("id"),
                "soft_label": list_column(soft),
                "label": pa.array(labels, pa.int8()),
                "confidence": pa.array(soft.max(axis=1), pa.float32()),
                "reason": pa.array(reasons, pa.string()),
                "majority_label": pa.array(plain, pa.int8()),
                "is_test": rows.column("is_test"),
            }
        )
        counts = LabelCounts(against_majority=changes, uncovered=int((~covered).sum()), annotated=annotated)
        metadata = {_COUNTS: json.dumps(counts.to_json())}
        commit_table(labels_path(self._folder, item, self._digest), table.replace_schema_metadata(metadata))
        return b""


def read_counts(path: Folder) -> LabelCounts:
    """Return the counts of a labeled shard."""
    return LabelCounts.from_json(read_schema(path).metadata[_COUNTS])


def labels_path(folder: Folder, shard_key: str, digest: str) -> Folder:
    """Where the labels of a shard stand."""
    return folder / "labels" / f"{shard_key}-{digest}.parquet"


def _annotated(path: Folder) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the places of the rows that take the annotator's label, and these labels."""
    table = read_table(path, columns=["place", "label", "is_rest"])
    places, labels, is_rest = (table.column(name).to_numpy() for name in ("place", "label", "is_rest"))
    taken = is_rest & (labels != ABSTAIN)
    return places[taken].astype(np.int64), labels[taken].astype(np.int64)


def list_column(values: Floats) -> pa.Array:
    """Turn (n, k) numbers into a column of lists of k."""
    n, k = values.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * k)
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(values, dtype=np.float64).reshape(-1)))
