"""Images behind a table of paths are watched by size and time; what the plan knows by itself is left as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.behind import watched
from operators.corpus.plan import Shard, plan_shards

NAMES = [f"{number}.png" for number in range(6)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES[:5]:
        (tmp_path / name).write_bytes(b"x" * 10)
    return tmp_path


def table(folder: Path, kind: str) -> Path:
    path = folder / f"images.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"image": NAMES}), path)
    elif kind == "csv":
        path.write_text("image\n" + "".join(f"{name}\n" for name in NAMES))
    else:
        path.write_text("".join(f'{{"image": "{folder}/{name}"}}\n' for name in NAMES))
    return path


def keys(source: Path, *, of_images: bool = False) -> list[str]:
    plan = plan_shards([str(source)], max_rows=2, max_bytes=1 << 20, columns=["image"], of_images=of_images)
    found = watched(plan, column="image")
    assert [shard.pieces for shard in found] == [shard.pieces for shard in plan]
    return [shard.key for shard in found]


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("change", ["touched", "longer", "gone", "late"])
def test_a_change_moves_the_key_of_its_own_shard(folder: Path, kind: str, change: str) -> None:
    """A new time, another size, a file that goes or comes: the shard that names it is another one, no other is."""
    source = table(folder, kind)
    before = keys(source)
    assert keys(source) == before
    place = 5 if change == "late" else 3
    path = folder / NAMES[place]
    if change == "touched":
        os.utime(path, ns=(1, 1))
    elif change == "longer":
        state = path.stat()
        path.write_bytes(b"x" * 11)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    elif change == "gone":
        path.unlink()
    else:
        path.write_bytes(b"now")
    assert [old != new for old, new in zip(before, keys(source), strict=True)] == [n == place // 2 for n in range(3)]


def test_what_the_plan_knows_keeps_its_key(folder: Path) -> None:
    """Folders of images, tables of encoded ones and URLs are as they were planned."""
    pq.write_table(pa.table({"image": pa.array([b"x", b"y"], pa.binary())}), folder / "bytes.parquet")
    for source, of_images in ((folder, True), (folder / "bytes.parquet", False)):
        plan = plan_shards([str(source)], max_rows=2, max_bytes=1 << 20, columns=["image"], of_images=of_images)
        assert watched(plan, column="image") == plan
    (folder / "urls.csv").write_text("image\nhttps://images.example/1.png\n")
    assert keys(folder / "urls.csv") == keys(folder / "urls.csv")


def test_more_shards_than_are_asked_at_a_time_keep_their_order(tmp_path: Path) -> None:
    """Each shard gets its own key, in the order of the plan; a row without a path is nothing to ask for."""
    names = [None if number % 9 == 4 else f"{number}.png" for number in range(200)]
    pq.write_table(pa.table({"image": names}), tmp_path / "t.parquet")
    plan = plan_shards([str(tmp_path / "t.parquet")], max_rows=2, max_bytes=1 << 20, columns=["image"])
    one_by_one: list[Shard] = [watched([shard], column="image")[0] for shard in plan]
    assert watched(plan, column="image") == one_by_one
    assert len({shard.key for shard in one_by_one}) == len(plan) == 100
