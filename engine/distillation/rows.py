"""Training rows: what the featurized shards hold, as matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from engine.task_parts import EndModelSpec
from operators.features import FeatureSpec, Sparse
from operators.storage import Folder, map_files, read_metadata, read_table

_LISTS = ("indices", "values", "soft_label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows to train or to choose on.

    Attributes:
        features: (n, d) float32 CSR, rows of length 1.
        soft: (n, k) soft labels, float32.
    """

    features: Sparse
    soft: npt.NDArray[np.float32]

    @property
    def num_rows(self) -> int:
        """Return n."""
        return int(self.soft.shape[0])


def feature_spec(spec: EndModelSpec, *, embedding_width: int | None = None) -> FeatureSpec:
    """Return what workers need of the spec to make features; of rows that were embedded before, their width."""
    if embedding_width is not None:
        return FeatureSpec(kind="embedding", width=embedding_width)
    return FeatureSpec(
        kind=spec.features,
        encoder=spec.encoder,
        num_features_log2=spec.num_features_log2,
        max_ngram=spec.max_ngram,
    )


def read_rows(files: Sequence[Folder], *, num_features: int, num_classes: int) -> tuple[Rows, Rows]:
    """Read featurized shards.

    Returns:
        the rows to train on and those held out.
    """
    tables = map_files(lambda path: read_table(path, [*_LISTS, "is_heldout"]), files)
    parts = [_read(table, num_features, num_classes) for table in tables]
    if not parts:
        parts = [
            (
                sp.csr_matrix((0, num_features), dtype=np.float32),
                np.zeros((0, num_classes), np.float32),
                np.zeros(0, bool),
            )
        ]
    features = sp.vstack([part[0] for part in parts], format="csr")
    soft = np.concatenate([part[1] for part in parts])
    heldout = np.concatenate([part[2] for part in parts])
    return (
        Rows(features=features[~heldout], soft=soft[~heldout]),
        Rows(features=features[heldout], soft=soft[heldout]),
    )


def feature_bytes(files: Sequence[Folder]) -> int:
    """Return what the features of these files take in memory, from their footers alone."""
    total = 0
    for footer in map_files(read_metadata, files):
        for group in range(footer.num_row_groups):
            for column in range(footer.num_columns):
                chunk = footer.row_group(group).column(column)
                # Stored values are compressed and encoded; in memory each takes 4 bytes.
                total += 4 * chunk.num_values
    return total


def num_rows(files: Sequence[Folder]) -> int:
    """Return how many rows these files hold, from their footers alone."""
    return sum(footer.num_rows for footer in map_files(read_metadata, files))


def _read(
    table: pa.Table, num_features: int, num_classes: int
) -> tuple[Sparse, npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    n = table.num_rows
    lengths = pc.list_value_length(table.column("indices")).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    indices, values, soft = (pc.list_flatten(table.column(name)).to_numpy() for name in _LISTS)
    features = sp.csr_matrix((values, indices, offsets), shape=(n, num_features), dtype=np.float32)
    heldout = np.asarray(table.column("is_heldout").to_pylist(), dtype=bool)
    return features, soft.astype(np.float32).reshape(n, num_classes), heldout
