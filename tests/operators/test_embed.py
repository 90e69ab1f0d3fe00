"""A shard's rows become embeddings in their order; a row that cannot be read is a fault and nothing else."""

from __future__ import annotations

import json
import sys

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators import fetch
from operators.corpus.plan import plan_shards
from operators.embed import EmbedShard, embeddings_path
from operators.errors import InputError
from operators.featurizer import FeaturizerSpec
from operators.unreached import unreached_in

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


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Plan one shard of a table of paths or URLs, without waits before they are tried again."""
    monkeypatch.setattr(fetch, "WAITS_S", (0.0, 0.01))

    def plan(*paths):
        pq.write_table(pa.table({"image": list(paths)}), tmp_path / "t.parquet")
        (shard,) = plan_shards([str(tmp_path / "t.parquet")], max_rows=99, max_bytes=1 << 20, columns=["image"])
        return shard

    return plan


def test_a_server_that_is_busy_is_asked_again_in_the_run(tmp_path, spec, listed, web):
    """What fails once or twice is there the next time; only what fails each time is a fault."""
    names = [f"/{i}.png" for i in range(5)]
    web.answers = {"/0.png": [b"xy"], "/1.png": [503, b"x"], "/2.png": [500, "cut off", b"xyz"], "/3.png": [503]}
    shard = listed(*(web.url + name for name in names))
    (told,), table = embedded([shard], tmp_path / "run", spec())
    assert told == {"rows": 5, "faults": 2}
    assert table.column("embedding").to_pylist() == [[2, 120], [1, 120], [3, 120], None, None]
    assert "could not be reached" in table.column("fault")[3].as_py()
    assert table.column("fault")[4].as_py() == "no such file"
    assert web.asked.count("/4.png") < web.asked.count("/3.png")


def test_the_next_run_tries_what_could_not_be_reached_alone(tmp_path, spec, listed, web):
    """Rows that were reached are not fetched again, faults for good neither; the file is mended, in its order."""
    web.answers = {"/0.png": [b"x"], "/1.png": [503], "/2.png": [503], "/3.png": [b"bad"]}
    shard = listed(*(f"{web.url}/{i}.png" for i in range(4)))
    path = embeddings_path(tmp_path / "run", shard.key, "d")
    _, before = embedded([shard], tmp_path / "run", spec())
    assert unreached_in(path) == (1, 2)
    stamp = path.stat().st_mtime_ns
    _, same = embedded([shard], tmp_path / "run", spec())
    assert same.equals(before)
    assert path.stat().st_mtime_ns == stamp
    web.answers |= {"/0.png": [b"other"], "/1.png": [503], "/2.png": [b"xyz"]}
    web.asked.clear()
    (told,), table = embedded([shard], tmp_path / "run", spec())
    assert told == {"rows": 4, "faults": 2}
    assert set(web.asked) == {"/1.png", "/2.png"}
    assert table.column("embedding").to_pylist() == [[1, 120], None, [3, 120], None]
    assert table.column("fault").to_pylist()[3] == "it is bad"
    assert unreached_in(path) == (1,)
    web.answers["/1.png"] = [404]
    _, table = embedded([shard], tmp_path / "run", spec())
    assert table.column("fault")[1].as_py() == "no such file"
    assert unreached_in(path) == ()


def test_images_in_an_object_store(tmp_path, spec, listed):
    """Paths of other file systems are read; what is missing there is a fault for good."""
    fsspec.filesystem("memory").pipe("/bucket/a.png", b"xyz")
    shard = listed("memory://bucket/a.png", "memory://bucket/gone.png")
    _, table = embedded([shard], tmp_path / "run", spec())
    assert table.column("embedding").to_pylist() == [[3, 120], None]
    assert table.column("fault").to_pylist() == [None, "no such file"]
    assert unreached_in(embeddings_path(tmp_path / "run", shard.key, "d")) == ()


def test_a_missing_driver_ends_the_run(tmp_path, spec, listed):
    """No row is to blame for it, and no file says so."""
    fsspec.register_implementation("absent", "no_such_driver.FileSystem", errtxt="Install absentfs", clobber=True)
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(InputError, match="absent:// is not installed"):
        embedded([listed("a.png", "absent://bucket/a.png")], tmp_path / "run", spec())
    assert not (tmp_path / "run" / "embeddings").exists()


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
