"""Training rows of a shard: features and soft labels of the rows that may be distilled from.

Written once and read by every pass over the data and by every worker of the training, so that texts are tokenised
once. Test rows and rows without a vote stay out here, where no later stage can forget it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.commit import commit_table
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.corpus.records import Fields
from operators.embed_texts import read_embeddings
from operators.errors import InputError
from operators.features import FeatureSpec, Featurizer, Sparse, features_of
from operators.label import labels_path
from operators.rows import text_hash
from operators.storage import Folder, folder_of, read_table

NUM_FOLDS = 10
"""Parts of the training rows; the first is held out, the others too where rows are few."""


class FeaturizeShard:
    """Step: write `features/<shard>-<digest>.parquet`.

    Columns: indices (list of int32), values (list of float32), soft_label (list of k float32), fold (0..9). Rows of a
    fold are held out together to choose the regularization; a hash of the text says which, so that duplicates stay on
    one side. With `uncovered` the training rows without a vote are there too, without a soft label. With `at_most`
    only so many rows are taken, spread over the shard. With `embeddings`, the digest of what `EmbedTexts` wrote,
    features are read and not made.
    """

    def __init__(
        self,
        *,
        folder: str,
        labels: str,
        text: str | Fields,
        id_column: str | None,
        features: FeatureSpec | Mapping[str, Any],
        digest: str,
        uncovered: bool = False,
        at_most: int | None = None,
        embeddings: str | None = None,
    ) -> None:
        self._folder = folder_of(folder)
        self._labels = labels
        self._text = text
        self._id = id_column
        self._digest = digest
        self._uncovered = uncovered
        self._at_most = at_most
        self._embeddings = embeddings
        spec = features if isinstance(features, FeatureSpec) else FeatureSpec.from_json(features)
        self._featurizer = Featurizer(spec) if embeddings is None else None

    def __call__(self, item: str) -> bytes:
        """Featurize shard `item`, a Shard as JSON; returns JSON {"rows": rows to train on}.

        Raises:
            InputError: the corpus has changed since it was labeled.
        """
        shard = Shard.from_json(item)
        labels = read_table(labels_path(self._folder, shard.key, self._labels))
        texts = read_shard(shard, text=self._text, id=self._id).column("text")
        if len(texts) != labels.num_rows:
            raise InputError(
                f"shard {shard.key}: {labels.num_rows} rows were labeled, {len(texts)} are there; run again"
            )
        covered = pc.not_equal(labels.column("reason"), "uncovered")
        used = pc.invert(labels.column("is_test"))
        if not self._uncovered:
            used = pc.and_(used, covered)
        if self._at_most is not None:
            used = _spread(used, self._at_most)
        # An uncovered row's soft label is the class balance, which is nothing to learn from.
        given = pc.if_else(covered, labels.column("soft_label"), None)
        soft, rows = given.filter(used), texts.filter(used).to_pylist()
        features = self._features(shard, rows, used)
        table = pa.table(
            {
                "indices": _lists(features, pa.array(features.indices, pa.int32())),
                "values": _lists(features, pa.array(features.data, pa.float32())),
                "soft_label": soft.cast(pa.list_(pa.float32())),
                "fold": pa.array([fold_of(text) for text in rows], pa.uint8()),
            }
        )
        commit_table(features_path(self._folder, shard.key, self._digest), table)
        return json.dumps({"rows": table.num_rows}).encode()

    def _features(self, shard: Shard, rows: Sequence[str | None], used: pa.ChunkedArray) -> Sparse:
        if self._featurizer is not None:
            return self._featurizer.transform(rows)
        assert self._embeddings is not None  # or there is a featurizer
        kept = read_embeddings(self._folder, shard.key, self._embeddings, rows=len(used))
        return features_of(kept[used.to_numpy()])


def features_path(folder: Folder, shard_key: str, digest: str) -> Folder:
    """Where the training rows of a shard stand; `digest` covers labels, text column and features."""
    return folder / "features" / f"{shard_key}-{digest}.parquet"


def fold_of(text: str | None) -> int:
    """Say which fold a training row is in.

    The test split cuts the same hash, so this looks at later digits of it; else no row that the split leaves would
    be in the first folds.
    """
    return int((text_hash(text) * 2**20) % 1.0 * NUM_FOLDS)


def _spread(used: pa.ChunkedArray, at_most: int) -> pa.Array:
    places = np.flatnonzero(used.to_numpy())
    chosen = np.zeros(len(used), bool)
    chosen[places[np.unique(np.linspace(0, len(places) - 1, min(at_most, len(places))).round().astype(int))]] = True
    return pa.array(chosen)


def _lists(features: Sparse, values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(features.indptr.astype(np.int32)), values)
