"""Training rows: what the featurized shards hold, as matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from engine.distillation.losses import Loss
from engine.errors import ConfigError
from engine.task_end_model import EndModelSpec
from operators.features import FeatureSpec, Sparse
from operators.schema import Floats
from operators.storage import Folder, map_files, read_metadata, read_table

_LISTS = ("indices", "values", "soft_label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows to train or to choose on.

    Attributes:
        features: (n, d) float32 CSR, rows of length 1.
        soft: (n, k) soft labels, float32.
        folds: (n,) fold of each, 0..9.
        targets: (n, k) what is learned in their place, None for the soft labels as they are.
        weights: (n,) of the rows in the loss, None where all weigh 1.
    """

    features: Sparse
    soft: npt.NDArray[np.float32]
    folds: npt.NDArray[np.uint8]
    targets: npt.NDArray[Any] | None = None
    weights: Floats | None = None

    @property
    def num_rows(self) -> int:
        """Return n."""
        return int(self.soft.shape[0])

    @property
    def total_weight(self) -> float:
        """What the weights of the rows come to."""
        return float(self.num_rows) if self.weights is None else float(self.weights.sum())

    def taken(self, which: npt.NDArray[np.bool_]) -> Rows:
        """Keep some rows, targets and weights to be set anew."""
        return Rows(features=self.features[which], soft=self.soft[which], folds=self.folds[which])

    def with_features(self, features: Sparse) -> Rows:
        """Put (n, d') other features in the place of these."""
        return replace(self, features=features)

    def prepared(self, loss: Loss, shares: Floats) -> Rows:
        """Set targets and weights for a loss; `shares` are the (k,) mean soft labels of all rows."""
        return replace(self, targets=loss.targets(self.soft), weights=loss.weights(self.soft, shares))


def joined(first: Rows, second: Rows) -> Rows:
    """Put the rows of both together, targets and weights to be set anew."""
    return Rows(
        features=sp.vstack([first.features, second.features], format="csr"),
        soft=np.concatenate([first.soft, second.soft]),
        folds=np.concatenate([first.folds, second.folds]),
    )


_MAX_TOKENS = 256
"""Attention grows with the square of the length, and the first 200 words say what a text is about."""

_LONGEST_TRIED = 5
"""Characters in a row that are tried where the task leaves it open."""


def feature_spec(
    spec: EndModelSpec, *, embedding_width: int | None = None, columns: Sequence[str] = (), characters: bool = True
) -> FeatureSpec:
    """Return what workers need of the spec to make features.

    Args:
        spec: of the task.
        embedding_width: of rows that were embedded before.
        columns: of the records, for `features: columns`.
        characters: what a trial said of them, where the task leaves it open.
    """
    if embedding_width is not None:
        return FeatureSpec(kind="embedding", width=embedding_width)
    if spec.features == "columns":
        return FeatureSpec(kind="columns", num_features_log2=spec.num_features_log2, columns=tuple(columns))
    if spec.head == "fine_tune":
        return FeatureSpec(kind="tokens", encoder=spec.encoder, max_tokens=spec.max_tokens or _MAX_TOKENS)
    longest = spec.max_char_ngram
    if longest == "auto":
        longest = _LONGEST_TRIED if characters and spec.tries_characters else 0
    return FeatureSpec(
        kind=spec.features,
        encoder=spec.encoder,
        num_features_log2=spec.num_features_log2,
        max_ngram=spec.max_ngram,
        max_char_ngram=longest,
    )


def check_max_tokens(spec: EndModelSpec) -> None:
    """Refuse a task that cuts texts behind what its encoder takes.

    Raises:
        ConfigError: it does.
        InputError: the encoder cannot be loaded.
    """
    if spec.head != "fine_tune" or spec.encoder is None or spec.max_tokens is None:
        return
    # Imported here: transformers takes seconds.
    from operators.tokens import most_tokens

    most = most_tokens(spec.encoder)
    if most is not None and spec.max_tokens > most:
        raise ConfigError(
            f"`end_model.max_tokens` is {spec.max_tokens}, and encoder {spec.encoder!r} takes {most} at most: set "
            f"it to {most} or less, leave it out, or name an encoder that takes longer texts"
        )


def read_rows(files: Sequence[Folder], *, num_features: int, num_classes: int) -> tuple[Rows, Rows, Sparse]:
    """Read featurized shards.

    Returns:
        the rows to train on, those of the first fold, which are held out, and the features of uncovered rows, where
        there are any in the files.
    """
    tables = map_files(lambda path: read_table(path, [*_LISTS, "fold"]), files)
    parts = [_read(table, num_features, num_classes) for table in tables]
    if not parts:
        parts = [
            (
                sp.csr_matrix((0, num_features), dtype=np.float32),
                np.zeros((0, num_classes), np.float32),
                np.zeros(0, np.uint8),
                np.zeros(0, bool),
            )
        ]
    features = sp.vstack([part[0] for part in parts], format="csr")
    soft = np.concatenate([part[1] for part in parts])
    folds = np.concatenate([part[2] for part in parts])
    covered = np.concatenate([part[3] for part in parts])
    labeled = Rows(features=features[covered], soft=soft, folds=folds[covered])
    return labeled.taken(labeled.folds > 0), labeled.taken(labeled.folds == 0), features[~covered]


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


def num_covered(files: Sequence[Folder]) -> int:
    """Return how many rows of these files have a soft label."""
    tables = map_files(lambda path: read_table(path, ["soft_label"]), files)
    return sum(table.num_rows - table.column("soft_label").null_count for table in tables)


def _read(
    table: pa.Table, num_features: int, num_classes: int
) -> tuple[Sparse, npt.NDArray[np.float32], npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    n = table.num_rows
    lengths = pc.list_value_length(table.column("indices")).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    indices, values, soft = (pc.list_flatten(table.column(name)).to_numpy() for name in _LISTS)
    features = sp.csr_matrix((values, indices, offsets), shape=(n, num_features), dtype=np.float32)
    folds = table.column("fold").to_numpy()
    # Uncovered rows have no soft label, and flattening passes them over.
    covered = np.asarray(table.column("soft_label").is_valid().to_numpy(), dtype=bool)
    return features, soft.astype(np.float32).reshape(int(covered.sum()), num_classes), folds, covered
