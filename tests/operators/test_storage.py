"""Shard files go through a path or a URL by the same operators, to the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from operators.commit import commit, commit_table
from operators.corpus.memory import to_parquet
from operators.corpus.plan import plan_shards
from operators.counts import CountShard, total
from operators.end_model import LinearModel
from operators.errors import InputError
from operators.evaluate import EvaluateShard
from operators.features import FeatureSpec
from operators.featurize import FeaturizeShard
from operators.label import LabelShard
from operators.ngrams import NUM_LOOKS
from operators.posterior import Evidence
from operators.predict import PredictShard
from operators.rows import IndexShard, SplitRule
from operators.storage import Folder, folder_of, map_files, names_in, read_metadata, read_schema, read_table
from operators.votes import Notes, VoteStore

KEYS = ("p", "q")
KINDS = ("rows", "votes", "faults", "counts", "labels", "features", "predictions")


@pytest.fixture
def far(request: pytest.FixtureRequest) -> UPath:
    """An empty folder in fsspec's memory, which is an object store of one process."""
    folder = folder_of(f"memory://{request.node.name}")
    assert isinstance(folder, UPath)
    return folder


def test_an_object_is_committed_whole(far: UPath):
    """It stands under its name alone, is left alone after that, and is replaced where that is asked for."""
    table = pa.table({"a": [1, 2]}).replace_schema_metadata({"k": "v"})
    commit_table(far / "x" / "t.parquet", table)
    assert names_in(far / "x") == {"t.parquet"}
    assert read_table(far / "x" / "t.parquet", ["a"]) == table.select(["a"])
    assert read_schema(far / "x" / "t.parquet").metadata[b"k"] == b"v"
    assert read_metadata(far / "x" / "t.parquet").num_rows == 2
    commit(far / "x" / "t.parquet", lambda attempt: pytest.fail("written again"))
    commit(far / "x" / "t.parquet", lambda attempt: attempt.write_text("new"), replace=True)
    assert (far / "x" / "t.parquet").read_text() == "new"


def test_a_failed_write_uploads_nothing(far: UPath):
    """When writing fails half-way there is no object at all."""

    def write(attempt: Path) -> None:
        attempt.write_text("half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        commit(far / "f", write)
    assert names_in(far) == frozenset()


@pytest.mark.parametrize(
    ("url", "said"),
    [("ftp://host/x", "half-written; expected a path"), ("gs://bucket/x", "pip install gcsfs")],
)
def test_a_store_that_cannot_be_used_is_refused(url: str, said: str):
    """One that shows files half-written, and one whose driver is missing; the message says what to do."""
    if url.startswith("gs") and _installed("gcsfs"):
        pytest.skip("gcsfs is installed")
    with pytest.raises(InputError, match=said):
        folder_of(url)


def test_a_file_url_is_a_path():
    """What is on a disk goes the way of the disk, whatever it is called."""
    assert folder_of("file:///data/x") == Path("/data/x")


@pytest.mark.slow
def test_files_are_read_in_their_order(tmp_path: Path, far: UPath):
    """Many objects are read at a time, and come as they were named."""
    for folder in (tmp_path, far):
        paths = [folder / f"{i}" for i in range(100)]
        for i, path in enumerate(paths):
            commit(path, lambda attempt, i=i: attempt.write_text(str(i)))
        assert list(map_files(lambda path: path.read_text(), paths)) == [str(i) for i in range(100)]
        assert names_in(folder) == {str(i) for i in range(100)}


@pytest.mark.slow
def test_every_step_writes_the_same_bytes(tmp_path: Path, far: UPath):
    """From rows to predictions, a run through a URL leaves the files of a run on a disk."""
    frame = pd.DataFrame({"text": [f"{'good' if i % 3 else 'bad'} film {i}" for i in range(60)]})
    frame["gold"] = (frame.index % 3 > 0).astype(int)
    (source,) = to_parquet(frame, tmp_path / "input")
    left, right = (_run(folder, source) for folder in (tmp_path / "run", far))
    assert left == right
    assert {name.split("/")[0] for name in left[0]} == {
        *["rows", "votes", "faults", "counts", "labels", "features", "predictions"]
    }


def test_a_frame_is_read_back_from_a_store(far: UPath):
    """Rows in memory go where the workers find them, once."""
    frame = pd.DataFrame({"text": ["a", "b"]})
    (url,) = to_parquet(frame, far / "input")
    assert url.startswith("memory://")
    assert to_parquet(frame.copy(), far / "input") == [url]
    assert sum(shard.num_rows for shard in plan_shards([url], max_rows=10, max_bytes=1000, columns=["text"])) == 2
    assert len(names_in(far / "input")) == 1


def _run(folder: Folder, source: str) -> tuple[dict[str, bytes], bytes]:
    (shard,) = plan_shards([source], max_rows=100, max_bytes=1 << 20, columns=["text"])
    place, item, rng = str(folder), shard.to_json(), np.random.default_rng(0)
    rule = SplitRule(column=None, train_values=(), test_values=(), fraction=0.3)
    IndexShard(folder=place, digest="r", text="text", id_column=None, split=rule)(item)
    votes = rng.integers(-1, 2, (60, 2)).astype(np.int8)
    store = VoteStore(folder)
    store.declare(KEYS)
    notes = Notes(level=3, messages={"p": "oops"}, quarantined={})
    store.write(shard.key, KEYS, votes=votes, faults=np.zeros((60, 2), np.uint8), notes=notes)
    assert store.missing([shard.key], (*KEYS, "new")) == {shard.key: ("new",)}
    assert store.notes([shard.key], KEYS) == notes
    CountShard(folder=place, rows="r", program_keys=KEYS, num_classes=2)(shard.key)
    assert total(folder, [shard.key], rows="r", program_keys=KEYS, num_classes=2).train.num_rows > 0
    table = np.zeros((2, 3, 2))
    table[:, 0, 0] = table[:, 1, 1] = 1.0
    evidence = Evidence(table=table, prior=np.array([0.4, 0.6]))
    LabelShard(folder=place, rows="r", program_keys=KEYS, evidence=evidence, majority=evidence, digest="l")(shard.key)
    spec = FeatureSpec(num_features_log2=6)
    FeaturizeShard(folder=place, labels="l", text="text", id_column=None, features=spec, digest="f")(item)
    zeros, ones = np.zeros(2, np.float32), np.ones(64 + NUM_LOOKS, np.float32)
    weight = rng.normal(size=(64 + NUM_LOOKS, 2)).astype(np.float32)
    model = LinearModel(features=spec, class_names=("a", "b"), weight=weight, bias=zeros, scales=ones)
    local = Path(source).parent
    model.save(local)
    for name in ("config.json", "model.safetensors"):
        commit(folder / "model" / name, lambda place, name=name: place.write_bytes((local / name).read_bytes()))
        (local / name).unlink()
    PredictShard(model=str(folder / "model"), folder=place, text="text", id_column=None, digest="d")(item)
    judged = EvaluateShard(
        folder=place,
        rows="r",
        text="text",
        id_column=None,
        gold="gold",
        group=None,
        gold_index={"0": 0, "1": 1},
        program_keys=KEYS,
        majority=evidence,
        label_model=evidence,
        predictions="d",
    )(item)
    files = {
        f"{kind}/{name}": (folder / kind / name).read_bytes() for kind in KINDS for name in names_in(folder / kind)
    }
    return files, judged


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None
