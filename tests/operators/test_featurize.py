"""Only covered training rows become training rows, and duplicates stay on one side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.commit import commit_table
from operators.corpus.plan import Shard, plan_shards
from operators.errors import InputError
from operators.features import FeatureSpec, Featurizer
from operators.featurize import NUM_FOLDS, FeaturizeShard, features_path, fold_of
from operators.label import labels_path
from operators.rows import text_hash

SPEC = FeatureSpec(num_features_log2=10)


def _shard(tmp_path: Path, texts: list[str | None]) -> Shard:
    pq.write_table(pa.table({"body": pa.array(texts, pa.string())}), tmp_path / "rows.parquet")
    (shard,) = plan_shards(
        [str(tmp_path / "rows.parquet")], max_rows=100, max_bytes=1 << 20, columns=["body"], split=None
    )
    return shard


def _labels(tmp_path: Path, shard: Shard, reasons: list[str], is_test: list[bool]) -> None:
    soft = [[0.25, 0.75]] * len(reasons)
    table = pa.table({"soft_label": soft, "reason": reasons, "is_test": is_test})
    commit_table(labels_path(tmp_path, shard.key, "l"), table)


def _step(tmp_path: Path) -> FeaturizeShard:
    return FeaturizeShard(folder=str(tmp_path), labels="l", text="body", id_column=None, features=SPEC, digest="f")


def test_uncovered_and_test_rows_stay_out(tmp_path: Path) -> None:
    """Ties are trained on, uncovered rows and test rows are not, and features belong to their rows."""
    texts = ["good film", "bad film", "a film", "great"]
    shard = _shard(tmp_path, list(texts))
    _labels(tmp_path, shard, ["labeled", "uncovered", "tie", "labeled"], [False, False, False, True])
    assert json.loads(_step(tmp_path)(shard.to_json())) == {"rows": 2}
    table = pq.read_table(features_path(tmp_path, shard.key, "f"))
    assert table.column_names == ["indices", "values", "soft_label", "fold"]
    expected = Featurizer(SPEC).transform([texts[0], texts[2]])
    assert table.column("indices").to_pylist() == [expected[i].indices.tolist() for i in range(2)]
    assert np.allclose(np.concatenate(table.column("values").to_pylist()), expected.data)
    assert table.column("soft_label").to_pylist() == [[0.25, 0.75]] * 2


def test_uncovered_rows_come_along_where_they_are_asked_for(tmp_path: Path) -> None:
    """For self-training they are there, without the class balance as a soft label; test rows are not."""
    shard = _shard(tmp_path, ["good film", "bad film", "great"])
    _labels(tmp_path, shard, ["labeled", "uncovered", "uncovered"], [False, False, True])
    step = FeaturizeShard(
        folder=str(tmp_path), labels="l", text="body", id_column=None, features=SPEC, digest="f", uncovered=True
    )
    assert json.loads(step(shard.to_json())) == {"rows": 2}
    table = pq.read_table(features_path(tmp_path, shard.key, "f"))
    assert table.column("soft_label").to_pylist() == [[0.25, 0.75], None]
    assert all(table.column("indices").to_pylist())


def test_a_sample_is_spread_over_the_shard(tmp_path: Path) -> None:
    """So many of the rows that may be learned from, from the first to the last."""
    shard = _shard(tmp_path, [f"word{i}" for i in range(50)])
    _labels(tmp_path, shard, ["labeled", "uncovered"] * 25, [False] * 50)
    for at_most, expected in ((3, ["word0", "word24", "word48"]), (100, [f"word{i}" for i in range(0, 50, 2)])):
        step = FeaturizeShard(
            folder=str(tmp_path),
            labels="l",
            text="body",
            id_column=None,
            features=SPEC,
            digest=f"f{at_most}",
            at_most=at_most,
        )
        step(shard.to_json())
        table = pq.read_table(features_path(tmp_path, shard.key, f"f{at_most}"))
        features = Featurizer(SPEC).transform(expected)
        assert table.column("indices").to_pylist() == [features[i].indices.tolist() for i in range(len(expected))]


def test_a_shard_without_covered_rows_gives_an_empty_file(tmp_path: Path) -> None:
    """Nothing to train on is a file with no rows, not an error."""
    shard = _shard(tmp_path, ["good", None])
    _labels(tmp_path, shard, ["uncovered", "uncovered"], [False, False])
    assert json.loads(_step(tmp_path)(shard.to_json())) == {"rows": 0}
    assert pq.read_table(features_path(tmp_path, shard.key, "f")).num_rows == 0


def test_labels_of_other_rows_are_refused(tmp_path: Path) -> None:
    """A label file with another number of rows is named."""
    shard = _shard(tmp_path, ["good", "bad"])
    _labels(tmp_path, shard, ["labeled"], [False])
    with pytest.raises(InputError, match="1 rows were labeled, 2 are there"):
        _step(tmp_path)(shard.to_json())


def test_a_tenth_of_the_rows_is_held_out_whatever_the_split() -> None:
    """Held-out rows are a tenth of the rows that the test split leaves, and duplicates stay together."""
    texts = [f"text number {i}" for i in range(4000)]
    left = [text for text in texts if text_hash(text) >= 0.2]
    shares = np.bincount([fold_of(text) for text in left], minlength=NUM_FOLDS) / len(left)
    assert shares == pytest.approx(np.full(NUM_FOLDS, 0.1), abs=0.02)
    assert [fold_of(text.upper() + "  ") for text in texts] == [fold_of(text) for text in texts]
