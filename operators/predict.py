"""Predictions of a shard: the distilled model over every row, uncovered rows and test rows among them."""

from __future__ import annotations

import json

import pyarrow as pa

from operators.commit import commit_table
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.corpus.records import Fields
from operators.embed_texts import compute_with, read_embeddings
from operators.end_model import FeatureModel
from operators.label import list_column
from operators.models import load_model
from operators.schema import Floats
from operators.storage import Folder, folder_of


class PredictShard:
    """Step: write `predictions/<shard>-<digest>.parquet`.

    Columns: id, probabilities (list of k floats), label (int8, the most probable class), in the order of the shard.
    With `embeddings`, the digest of what `EmbedTexts` wrote, texts pass through no encoder. An encoder computes with
    `threads`, cores that no other worker has.
    """

    def __init__(
        self,
        *,
        model: str,
        folder: str,
        text: str | Fields,
        id_column: str | None,
        digest: str,
        embeddings: str | None = None,
        threads: int = 1,
    ) -> None:
        self._model = load_model(model)
        self._folder = folder_of(folder)
        self._text = text
        self._id = id_column
        self._digest = digest
        self._embeddings = embeddings
        compute_with(threads)

    def __call__(self, item: str) -> bytes:
        """Predict shard `item`, a Shard as JSON; returns JSON {"rows": rows}."""
        shard = Shard.from_json(item)
        rows = read_shard(shard, text=self._text, id=self._id)
        probabilities = self._probabilities(shard, rows.column("text"))
        table = pa.table(
            {
                "id": rows.column("id"),
                "probabilities": list_column(probabilities).cast(pa.list_(pa.float32())),
                "label": pa.array(probabilities.argmax(axis=1), pa.int8()),
            }
        )
        commit_table(predictions_path(self._folder, shard.key, self._digest), table)
        return json.dumps({"rows": table.num_rows}).encode()

    def _probabilities(self, shard: Shard, texts: pa.ChunkedArray) -> Floats:
        if self._embeddings is None:
            return self._model.predict_proba(texts.to_pylist())
        assert isinstance(self._model, FeatureModel)  # a fine-tuned encoder's texts are not embedded
        return self._model.predict_embeddings(
            read_embeddings(self._folder, shard.key, self._embeddings, rows=len(texts))
        )


def predictions_path(folder: Folder, shard_key: str, digest: str) -> Folder:
    """Where the predictions of a shard stand; `digest` covers the model and the text column."""
    return folder / "predictions" / f"{shard_key}-{digest}.parquet"
