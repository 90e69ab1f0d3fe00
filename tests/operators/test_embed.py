"""A shard's rows become embeddings in their order; a row that cannot be read is a fault and nothing else."""

from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.plan import plan_shards
from operators.embed import EmbedShard, embeddings_path
from operators.errors import InputError
from operators.featurizer import FeaturizerSpec

SOURCE = '''
import numpy as np
from operators.images import UnreadableRow

class Bytes:
    """Length and first byte of a row."""
    num_features = 2

    def __init__(self, wide=False):
        self.wide = wide
        self.most = 0

    def prepare(self, data):
        if data.startswith(b"bad"):
            raise UnreadableRow("it is bad")
        return len(data), data[0]

    def embed(self, rows):
        return np.array(rows, np.float32) if not self.wide else np.zeros((len(rows), 5))

    def scores(self, embeddings, texts):
        return embeddings[:, [int(text) for text in texts]]
'''


@pytest.fixture
def spec(tmp_path, monkeypatch):
    (tmp_path / "bytes_featurizer.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda **options: FeaturizerSpec(use="bytes_featurizer:Bytes", options=options)
    sys.modules.pop("bytes_featurizer", None)


def embedded(shards, run, spec, *, column="image", id_column=None):
    step = EmbedShard(folder=str(run), column=column, id_column=id_column, featurizer=spec, digest="d")
    told = [json.loads(step(shard.to_json())) for shard in shards]
    step.close()
    return told, pa.concat_tables(pq.read_table(embeddings_path(run, shard.key, "d")) for shard in shards)


def test_a_folder_is_embedded_in_its_order(tmp_path, spec):
    """More rows than a chunk, in two shards; broken files among them have a fault and no embedding."""
    (tmp_path / "images").mkdir()
    names = [f"{i:03d}.png" for i in range(600)]
    for i, name in enumerate(names):
        (tmp_path / "images" / name).write_bytes((b"bad" if i % 7 == 3 else b"x") * (1 + i % 5))
    shards = plan_shards([str(tmp_path / "images")], max_rows=550, max_bytes=1 << 20, columns=["image"], of_images=True)
    told, table = embedded(shards, tmp_path / "run", spec())
    bad = [i % 7 == 3 for i in range(600)]
    assert sum(t["faults"] for t in told) == sum(bad)
    assert table.column("image").to_pylist() == table.column("id").to_pylist() == names
    assert table.column("fault").to_pylist() == ["it is bad" if b else None for b in bad]
    assert table.column("embedding").to_pylist() == [None if bad[i] else [1 + i % 5, 120] for i in range(600)]
    assert table.schema.field("embedding").type.value_type == pa.float16()


def test_tables_hold_bytes_or_paths(tmp_path, spec):
    """Bytes in Parquet and paths from a table's folder are the same images; what is missing is a fault."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(b"xyz")
    by_path = pa.table({"image": ["a.png", "gone.png", None], "uid": [3, 1, 2]})
    by_bytes = pa.table({"image": pa.array([b"xyz", b"", None], pa.binary()), "uid": [3, 1, 2]})
    reasons = {"paths": ["no such file", "neither bytes nor a path"], "bytes": ["no bytes", "neither bytes nor a path"]}
    contents = set()
    for name, table in (("paths", by_path), ("bytes", by_bytes)):
        pq.write_table(table, tmp_path / "data" / f"{name}.parquet")
        shards = plan_shards(
            [str(tmp_path / "data" / f"{name}.parquet")], max_rows=10, max_bytes=1000, columns=["image", "uid"]
        )
        _, rows = embedded(shards, tmp_path / name, spec(), id_column="uid")
        assert rows.column("id").to_pylist() == [3, 1, 2]
        assert rows.column("embedding").to_pylist() == [[3, 120], None, None]
        good, *faults = rows.column("fault").to_pylist()
        assert good is None
        assert all(reason in fault for reason, fault in zip(reasons[name], faults, strict=True))
        contents.add(rows.column("content")[0].as_py())
    assert len(contents) == 1


def test_embeddings_of_another_width_are_refused(tmp_path, spec):
    """A featurizer that hands out something else is told so, and no file is left."""
    (tmp_path / "a.png").write_bytes(b"x")
    shards = plan_shards([str(tmp_path / "a.png")], max_rows=9, max_bytes=1000, columns=["image"], of_images=True)
    with pytest.raises(InputError, match=r"shape \(1, 5\), expected finite numbers of shape \(1, 2\)"):
        embedded(shards, tmp_path / "run", spec(wide=True))
    assert not (tmp_path / "run" / "embeddings").exists()


def test_numbers_that_half_precision_cannot_hold_are_refused(tmp_path, spec):
    """They would become infinite on their way to the file."""
    (tmp_path / "a.png").write_bytes(b"x" * 70_000)
    shards = plan_shards([str(tmp_path / "a.png")], max_rows=9, max_bytes=1 << 20, columns=["image"], of_images=True)
    with pytest.raises(InputError, match=r"bytes_featurizer:Bytes .* none beyond the 65,504 of half precision"):
        embedded(shards, tmp_path / "run", spec())
    assert not (tmp_path / "run" / "embeddings").exists()


def test_what_is_kept_is_half_precision(tmp_path, spec):
    """Nothing but rounding to 16 bits is lost."""
    (tmp_path / "a.png").write_bytes(b"x" * 2049)
    shards = plan_shards([str(tmp_path / "a.png")], max_rows=9, max_bytes=1 << 20, columns=["image"], of_images=True)
    _, table = embedded(shards, tmp_path / "run", spec())
    assert table.column("embedding").to_pylist() == [[float(np.float16(2049)), 120.0]]


def test_a_featurizer_computes_with_the_threads_it_is_given(tmp_path, spec):
    """An actor that has cores to itself uses them, and one that has not leaves torch as it is."""
    torch = pytest.importorskip("torch")
    (tmp_path / "a.png").write_bytes(b"x")
    before = torch.get_num_threads()
    try:
        for threads, expected in ((1, 3), (2, 2)):
            torch.set_num_threads(3)
            step = EmbedShard(
                folder=str(tmp_path), column="image", id_column=None, featurizer=spec(), digest="d", threads=threads
            )
            step.close()
            assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)
