"""Texts are embedded once a shard, and training rows and predictions come from what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.commit import commit_table
from operators.corpus.plan import Shard, plan_shards
from operators.embed_texts import EmbedTexts, read_embeddings
from operators.end_model import LinearModel
from operators.errors import InputError
from operators.features import FeatureSpec, Featurizer, halved
from operators.featurize import FeaturizeShard, features_path
from operators.label import labels_path
from operators.predict import PredictShard, predictions_path

TEXTS = ["good film", None, "bad bad film", "good", "film"]
WIDTH = 16


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    """Write a shard of five rows, one of them null."""
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "rows.parquet")
    (shard,) = plan_shards([str(tmp_path / "rows.parquet")], max_rows=9, max_bytes=1 << 20, columns=["text"])
    return shard


def save_model(folder: Path, encoder: str) -> LinearModel:
    """Write a linear model over the embeddings of an encoder."""
    weight = np.random.default_rng(0).normal(size=(WIDTH, 2)).astype(np.float32)
    model = LinearModel(
        features=FeatureSpec(kind="encoder", encoder=encoder),
        class_names=("a", "b"),
        weight=weight,
        bias=np.zeros(2, np.float32),
        scales=np.ones(WIDTH, np.float32),
    )
    folder.mkdir()
    model.save(folder)
    return model


@pytest.mark.slow
def test_what_is_kept_is_what_the_encoder_gives(tmp_path: Path, shard: Shard, make_encoder: Callable[..., Path]):
    """In the order of the shard, at length 1, in half precision; a model predicts the same from either."""
    encoder = str(make_encoder(tmp_path / "encoder", ("good", "bad", "film")))
    step = EmbedTexts(folder=str(tmp_path), text="text", id_column=None, encoder=encoder, digest="e")
    assert json.loads(step(shard.to_json())) == {"rows": 5}
    kept = read_embeddings(tmp_path, shard.key, "e", rows=5)
    assert (kept.dtype, kept.shape) == (np.float16, (5, WIDTH))
    found = Featurizer(FeatureSpec(kind="encoder", encoder=encoder)).transform(TEXTS).toarray()
    np.testing.assert_allclose(kept, found, rtol=0, atol=5e-4)
    model = save_model(tmp_path / "model", encoder)
    np.testing.assert_allclose(model.predict_embeddings(kept), model.predict_proba(TEXTS), rtol=0, atol=1e-3)
    with pytest.raises(InputError, match="5 rows were embedded, 4 are there"):
        read_embeddings(tmp_path, shard.key, "e", rows=4)


def test_what_is_kept_is_read_and_no_encoder_is_loaded(tmp_path: Path, shard: Shard) -> None:
    """Features of the rows that are learned from, and predictions of all, where the encoder is not even there."""
    encoder = str(tmp_path / "gone")
    kept = halved(np.random.default_rng(1).normal(size=(5, WIDTH)).astype(np.float32))
    rows = pa.FixedSizeListArray.from_arrays(pa.array(kept.reshape(-1)), WIDTH)
    commit_table(tmp_path / "embeddings" / f"{shard.key}-e.parquet", pa.table({"embedding": rows}))
    reasons = ["labeled", "uncovered", "tie", "labeled", "labeled"]
    labels = {"soft_label": [[0.25, 0.75]] * 5, "reason": reasons, "is_test": [False] * 4 + [True]}
    commit_table(labels_path(tmp_path, shard.key, "l"), pa.table(labels))
    spec = FeatureSpec(kind="encoder", encoder=encoder)
    FeaturizeShard(
        folder=str(tmp_path), labels="l", text="text", id_column=None, features=spec, digest="f", embeddings="e"
    )(shard.to_json())
    features = pq.read_table(features_path(tmp_path, shard.key, "f"))
    assert features.column("indices").to_pylist() == [list(range(WIDTH))] * 3
    np.testing.assert_allclose(features.column("values").to_pylist(), kept[[0, 2, 3]], rtol=1e-3)

    model = save_model(tmp_path / "model", encoder)
    PredictShard(
        model=str(tmp_path / "model"), folder=str(tmp_path), text="text", id_column=None, digest="p", embeddings="e"
    )(shard.to_json())
    found = pq.read_table(predictions_path(tmp_path, shard.key, "p")).column("probabilities").to_pylist()
    np.testing.assert_allclose(found, model.predict_embeddings(kept), rtol=1e-6)


def test_large_numbers_of_an_encoder_are_kept() -> None:
    """Half precision ends at 65,504, so rows are brought to length 1 first; a row of zeros stays one."""
    large = np.array([[3e5, -4e5], [0, 0], [3e-5, 4e-5]], np.float32)
    np.testing.assert_allclose(halved(large), [[0.6, -0.8], [0, 0], [0.6, 0.8]], rtol=1e-3)


@pytest.mark.slow
def test_an_encoder_computes_with_the_threads_it_is_given(tmp_path: Path, make_encoder: Callable[..., Path]) -> None:
    """A worker that has cores to itself uses them, and one that has not leaves torch as it is."""
    import torch

    encoder = str(make_encoder(tmp_path / "encoder", ("good",)))
    save_model(tmp_path / "model", encoder)
    given = {"folder": str(tmp_path), "text": "text", "id_column": None, "digest": "d"}
    before = torch.get_num_threads()
    try:
        for threads, expected in ((1, 3), (2, 2)):
            torch.set_num_threads(3)
            EmbedTexts(encoder=encoder, threads=threads, **given)
            assert torch.get_num_threads() == expected
            torch.set_num_threads(3)
            PredictShard(model=str(tmp_path / "model"), threads=threads, **given)
            assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)
