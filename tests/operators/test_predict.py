"""Every row of a shard gets a prediction, in its place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from operators.corpus.plan import plan_shards
from operators.end_model import LinearModel
from operators.features import FeatureSpec
from operators.ngrams import NUM_LOOKS
from operators.predict import PredictShard, predictions_path


def test_rows_out_are_rows_in(tmp_path: Path) -> None:
    """Nulls and duplicates are predicted too; ids stand in the order of the shard."""
    rng = np.random.default_rng(0)
    model = LinearModel(
        features=FeatureSpec(num_features_log2=10),
        class_names=("a", "b"),
        weight=rng.normal(size=(1024 + NUM_LOOKS, 2)).astype(np.float32),
        bias=np.zeros(2, np.float32),
        scales=np.ones(1024 + NUM_LOOKS, np.float32),
    )
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")
    texts = ["good film", None, "good film", "bad"]
    pq.write_table(pa.table({"key": [7, 5, 9, 1], "text": texts}), tmp_path / "rows.parquet")
    (shard,) = plan_shards(
        [str(tmp_path / "rows.parquet")], max_rows=10, max_bytes=1 << 20, columns=["text", "key"], split=None
    )
    step = PredictShard(model=str(tmp_path / "model"), folder=str(tmp_path), text="text", id_column="key", digest="p")
    assert json.loads(step(shard.to_json())) == {"rows": 4}
    table = pq.read_table(predictions_path(tmp_path, shard.key, "p"))
    assert table.column("id").to_pylist() == [7, 5, 9, 1]
    assert table.schema.field("label").type == pa.int8()
    probabilities = np.array(table.column("probabilities").to_pylist())
    assert np.allclose(probabilities, model.predict_proba(texts), atol=1e-6)
    assert table.column("label").to_pylist() == probabilities.argmax(axis=1).tolist()
