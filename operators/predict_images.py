"""Predictions of a shard of images: embedded and predicted in one pass, and nothing but the predictions is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from operators.corpus.plan import Shard
from operators.embed import Embedder
from operators.end_model import FeatureModel
from operators.errors import InputError
from operators.featurizer import FeaturizerSpec
from operators.models import load_model
from operators.predict import predictions_path
from operators.schema import ABSTAIN
from operators.storage import folder_of
from operators.unreached import noted, unreached_rows, write_reached


class PredictImages:
    """Step: write `predictions/<shard>-<digest>.parquet`, in the order of the shard.

    Columns: id, image (its name), probabilities (list of k floats, null where the image cannot be read), label (int8,
    the most probable class, ABSTAIN where it cannot), fault (why it cannot, else null). Of a file that is there, the
    rows that could not be reached are tried again.
    """

    def __init__(
        self,
        *,
        model: str,
        folder: str,
        column: str,
        id_column: str | None,
        featurizer: FeaturizerSpec,
        digest: str,
        threads: int = 1,
        decoders: int = 1,
    ) -> None:
        loaded = load_model(model)
        if not isinstance(loaded, FeatureModel):
            raise InputError(f"{model}: reads texts, expected a model of embeddings of images; give it texts")
        self._model = loaded
        self._folder = folder_of(folder)
        self._digest = digest
        self._embedder = Embedder(
            column=column, id_column=id_column, featurizer=featurizer, threads=threads, decoders=decoders
        )
        check_width(self._model, self._embedder.num_features, featurizer)

    def __call__(self, item: str) -> bytes:
        """Predict shard `item`, a Shard as JSON; returns JSON {"rows"}.

        Raises:
            InputError: as `Embedder.table`.
        """
        shard = Shard.from_json(item)
        path = predictions_path(self._folder, shard.key, self._digest)
        table = write_reached(path, lambda rows: self._predicted(shard, rows))
        return json.dumps({"rows": table.num_rows}).encode()

    def close(self) -> None:
        """End the threads."""
        self._embedder.close()

    def _predicted(self, shard: Shard, rows: Sequence[int] | None) -> pa.Table:
        table = self._embedder.table(shard, only=rows)
        good = table.column("fault").is_null().to_numpy()
        kept = table.column("embedding").combine_chunks().drop_null().flatten().to_numpy(zero_copy_only=False)
        found = self._model.predict_embeddings(kept.reshape(int(good.sum()), -1))
        probabilities: list[list[float] | None] = [None] * len(good)
        labels = np.full(len(good), ABSTAIN, np.int8)
        labels[good] = found.argmax(axis=1) if len(found) else ABSTAIN
        for place, row in zip(np.flatnonzero(good).tolist(), found.tolist(), strict=True):
            probabilities[place] = row
        columns = {
            "id": table.column("id"),
            "image": table.column("image"),
            "probabilities": pa.array(probabilities, pa.list_(pa.float32())),
            "label": pa.array(labels),
            "fault": table.column("fault"),
        }
        return noted(pa.table(columns), unreached_rows(table.schema))


def check_width(model: FeatureModel, num_features: int, featurizer: FeaturizerSpec) -> None:
    """Refuse a featurizer that cannot be the one that the model was distilled from.

    Raises:
        InputError: its embeddings have another length.
    """
    if num_features != model.features.width:
        raise InputError(
            f"featurizer {featurizer.use} gives embeddings of {num_features} numbers, and the model was distilled from "
            f"{model.features.width}; put the weights that it was distilled with in their place"
        )
