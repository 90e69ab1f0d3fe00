"""Folders and tables of images are planned and read by name; no image is opened for it."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.images import ImageColumn
from operators.corpus.plan import Shard, plan_shards
from operators.corpus.read import read_shard
from operators.errors import ChangedError, InputError


def save(folder, names, *, size=100):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))


def plan(source, *, max_rows=1000, max_bytes=1 << 20, columns=("image", "label")):
    return plan_shards([str(source)], max_rows=max_rows, max_bytes=max_bytes, columns=columns, of_images=True)


def table(shards):
    return pa.concat_tables(read_shard(s, text=ImageColumn(column="image"), id=None, extra=["label"]) for s in shards)


NAMES = ["ants/1.jpg", "ants/2.JPG", "bees/1.png", "bees/2.webp"]


def test_a_folder_gives_a_row_an_image_with_its_subfolder_as_label(tmp_path):
    """Images come by name, with ids and labels; other and hidden files are passed over."""
    save(tmp_path, [*NAMES, "labels.csv", ".hidden.jpg", "notes.txt"])
    rows = table(plan(tmp_path))
    assert rows.column("id").to_pylist() == rows.column("text").to_pylist() == NAMES
    assert rows.column("label").to_pylist() == ["ants", "ants", "bees", "bees"]


@pytest.mark.parametrize(("bounds", "sizes"), [({"max_rows": 3}, [3, 1]), ({"max_bytes": 250}, [2, 2]), ({}, [4])])
def test_shards_of_images_are_bounded_in_count_and_bytes(tmp_path, bounds, sizes):
    """Neighbours share a shard while they fit; the shards survive JSON and are the folder."""
    save(tmp_path, NAMES)
    shards = [Shard.from_json(shard.to_json()) for shard in plan(tmp_path, **bounds)]
    assert [shard.num_rows for shard in shards] == sizes
    assert table(shards).column("text").to_pylist() == NAMES


def test_an_image_that_changed_since_is_told(tmp_path):
    """A file that is another one now is not taken for the planned one."""
    save(tmp_path, NAMES)
    shards = plan(tmp_path)
    os.utime(tmp_path / NAMES[0], ns=(1, 1))
    with pytest.raises(ChangedError, match="changed since"):
        table(shards)


def test_what_is_no_folder_of_images_is_told(tmp_path):
    """The message names what would be an image, and the columns that a folder has."""
    (tmp_path / "rows.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"no corpus file.*\.jpg"):
        plan(tmp_path)
    save(tmp_path, NAMES)
    with pytest.raises(InputError, match="no column 'species'"):
        plan(tmp_path, columns=("image", "species"))


BYTES = [b"\xff\xd8\xff", b"\x89PNG"]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pa.array(["a.jpg", None]), ["a.jpg", None]),
        (pa.array(BYTES, pa.binary()), ["t.parquet:0", "t.parquet:1"]),
        (pa.array(BYTES, pa.large_binary()), ["t.parquet:0", "t.parquet:1"]),
        (pa.array([{"bytes": BYTES[0], "path": "x.jpg"}, {"bytes": BYTES[1], "path": None}]), ["x.jpg", "t.parquet:1"]),
    ],
    ids=["paths", "bytes", "large bytes", "hugging face"],
)
def test_tables_of_images_go_by_path_or_row(tmp_path, values, names):
    """Paths name images; encoded bytes go by file and row, and are not taken for text."""
    pq.write_table(pa.table({"image": values}), tmp_path / "t.parquet")
    shards = plan_shards([str(tmp_path)], max_rows=10, max_bytes=1000, columns=["image"])
    rows = pa.concat_tables(read_shard(s, text=ImageColumn(column="image"), id=None) for s in shards)
    assert rows.column("text").to_pylist() == names


def test_a_column_of_numbers_is_no_column_of_images(tmp_path):
    """The message says what an image column may hold."""
    pq.write_table(pa.table({"image": [1]}), tmp_path / "t.parquet")
    (shard,) = plan_shards([str(tmp_path)], max_rows=10, max_bytes=1000, columns=["image"])
    with pytest.raises(InputError, match=r"int64; expected paths"):
        read_shard(shard, text=ImageColumn(column="image"), id=None)
