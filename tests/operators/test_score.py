"""Scored rows are a corpus: scores for programs, embeddings for the distilled model, splits, and baselines."""

from __future__ import annotations

import json
import math
import sys
from base64 import b64decode
from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.plan import Shard, plan_shards
from operators.embed import EmbedShard
from operators.errors import InputError
from operators.featurizer import FeaturizerSpec
from operators.rows import SplitRule
from operators.score import RangeShard, ScoreShard, Texts, scored_path

SOURCE = """
import numpy as np
from operators.images import UnreadableRow

class Digits:
    num_features = 2

    def prepare(self, data):
        if not data.isdigit():
            raise UnreadableRow("no digits")
        return int(data), 1

    def embed(self, rows):
        return np.array(rows, np.float32)

    def scores(self, embeddings, texts):
        return np.stack([embeddings[:, 0] * float(text) for text in texts], axis=1)
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    (tmp_path / "digits_featurizer.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield FeaturizerSpec(use="digits_featurizer:Digits")
    sys.modules.pop("digits_featurizer", None)


BY_HASH = SplitRule(column=None, train_values=("train",), test_values=("test",), fraction=0.5)
TEXTS = Texts(concepts=(("1", "2"), ("0", "0")), normalisation="softmax", baselines={"zero_shot": (("0", 1), ("1", 0))})


def scored(shards: list[Shard], run, spec, *, texts=TEXTS, split=BY_HASH, copied=None):
    steps = [
        EmbedShard(folder=str(run), column="image", id_column=None, featurizer=spec, digest="e"),
        ScoreShard(
            folder=str(run),
            embeddings="e",
            id_column=None,
            featurizer=spec,
            texts=texts,
            split=split,
            copied=copied or {},
            digest="s",
        ),
    ]
    told = [json.loads(step(shard.to_json())) for step in steps for shard in shards][len(shards) :]
    steps[0].close()
    return told, pa.concat_tables(pq.read_table(scored_path(run, shard.key, "s")) for shard in shards)


def folder(tmp_path, contents):
    for name, content in contents.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return plan_shards(
        [str(tmp_path / "images")], max_rows=2, max_bytes=1000, columns=["image", "label"], of_images=True
    )


def test_rows_are_scored_in_their_order(tmp_path, spec):
    """Softmax over a concept's descriptions, side by side; a row that cannot be read has none, and says why."""
    shards = folder(tmp_path, {"a/1.png": b"1", "a/2.png": b"x", "b/3.png": b"3"})
    told, table = scored(shards, tmp_path / "run", spec, copied={"gold": "label"})
    first, broken, third = table.to_pylist()
    low = 1 / (1 + math.e)
    assert json.loads(first["scores"]) == pytest.approx([low, 1 - low, 0.5, 0.5], abs=1e-5)
    assert json.loads(third["scores"])[0] == pytest.approx(1 / (1 + math.e**3), abs=1e-5)
    assert np.frombuffer(b64decode(third["embedding"]), np.float16).tolist() == [3, 1]
    assert (broken["scores"], broken["embedding"], broken["zero_shot"]) == (None, None, None)
    assert [fault for t in told for fault in t["faults"]] == [["a/2.png", "no digits"]]
    assert table.column("gold").to_pylist() == ["a", "a", "b"]
    assert table.column("zero_shot").to_pylist() == [0, None, 0]


def test_scores_may_stay_on_their_own_scale(tmp_path, spec):
    """Without normalisation programs get what the featurizer gives."""
    shards = folder(tmp_path, {"a/1.png": b"7"})
    texts = Texts(concepts=(("1", "2"),), normalisation="none", baselines={})
    _, table = scored(shards, tmp_path / "run", spec, texts=texts)
    assert json.loads(table.column("scores")[0].as_py()) == [7, 14]


@pytest.mark.parametrize("where", ["concepts", "baselines", "ranges"])
def test_scores_that_are_no_numbers_never_reach_a_program(tmp_path, spec, where):
    """Of concepts, baselines and ranges; the message names the row and the description."""
    shards, run = folder(tmp_path, {"a/0.png": b"x", "a/1.png": b"1"}), tmp_path / "run"
    scored(shards, run, spec)
    texts = Texts(concepts=(("1", "nan"),), normalisation="softmax", baselines={})
    if where == "baselines":
        texts = Texts(concepts=(("1", "2"),), normalisation="softmax", baselines={"zero_shot": (("1", 0), ("nan", 1))})
    call: Callable[[], object] = partial(scored, shards, run, spec, texts=texts)
    if where == "ranges":
        step = RangeShard(folder=str(run), embeddings="e", featurizer=spec, descriptions=["1", "nan"])
        call = partial(step, shards[0].to_json())
    with pytest.raises(InputError, match=r"digits_featurizer:Digits gave a/1\.png the score nan .* 'nan'"):
        call()


def test_copies_of_an_image_are_on_one_side_of_the_split(tmp_path, spec):
    """The hash is of the bytes, whatever the files are called."""
    contents = {f"a/{copy}{i}.png": str(i).encode() for i in range(30) for copy in "xy"}
    _, table = scored(folder(tmp_path, contents), tmp_path / "run", spec)
    sides = dict(zip(table.column("image").to_pylist(), table.column("split").to_pylist(), strict=True))
    assert all(sides[f"a/x{i}.png"] == sides[f"a/y{i}.png"] for i in range(30))
    assert set(sides.values()) == {"train", "test"}


def test_a_split_column_is_heeded_and_checked(tmp_path, spec):
    """Values of the user's column decide; an unknown one is told with its place."""
    rule = SplitRule(column="part", train_values=("0",), test_values=("1",), fraction=0.0)
    table = pa.table({"image": pa.array([b"1", b"2"], pa.binary()), "part": [0, 1], "y": ["p", "q"]})
    pq.write_table(table, tmp_path / "t.parquet")
    shards = plan_shards([str(tmp_path / "t.parquet")], max_rows=9, max_bytes=1000, columns=["image", "part", "y"])
    _, rows = scored(shards, tmp_path / "run", spec, split=rule, copied={"gold": "y"})
    assert rows.column("split").to_pylist() == ["train", "test"]
    assert rows.column("gold").to_pylist() == ["p", "q"]
    other = SplitRule(column="part", train_values=("0",), test_values=("2",), fraction=0.0)
    with pytest.raises(InputError, match="row 1: '1' in the split column"):
        scored(shards, tmp_path / "other", spec, split=other)


def test_min_max_is_over_all_shards(tmp_path, spec):
    """Least and largest of each shard add up to those of the corpus, and scores are scaled by them."""
    contents = {"a/1.png": b"1", "a/2.png": b"3", "b/3.png": b"x", "b/4.png": b"y", "c/5.png": b"5"}
    shards = folder(tmp_path, contents)
    run = tmp_path / "run"
    scored(shards, run, spec)
    step = RangeShard(folder=str(run), embeddings="e", featurizer=spec, descriptions=["1", "0"])
    told = [json.loads(step(shard.to_json())) for shard in shards]
    assert told == [[[1, 3], [0, 0]], [], [[5, 5], [0, 0]]]
    texts = Texts(concepts=(("1", "0"),), normalisation="min_max", baselines={}, ranges=((1.0, 5.0), (0.0, 0.0)))
    _, table = scored(shards, tmp_path / "other", spec, texts=texts)
    values = [value and json.loads(value) for value in table.column("scores").to_pylist()]
    assert values == [[0, 0.5], [0.5, 0.5], None, None, [1, 0.5]]
