"""Small copies: bounded in size and number, from files and tables alike, and a reason where there is none."""

from __future__ import annotations

import io
from base64 import b64decode
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.stages import thumbnails as module
from engine.stages.thumbnails import ImageSource, Place, thumbnails
from operators.corpus.plan import plan_shards

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def encoded(width: int, height: int, *, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def source(path: Path, *, column: str = "image", of_images: bool = False) -> tuple[ImageSource, list[Place]]:
    """Plan images, and give the places of all in their order."""
    shards = plan_shards([str(path)], max_rows=3, max_bytes=1 << 20, columns=[column], of_images=of_images)
    places = [Place(shard=shard.key, row=row) for shard in shards for row in range(shard.num_rows)]
    return ImageSource(shards={shard.key: shard for shard in shards}, column=column), places


def copies(images: ImageSource, places: list[Place]) -> list[module.Thumbnail]:
    named = {str(number): place for number, place in enumerate(places)}
    return list(thumbnails(images, list(named), named).values())


def opened(url: str | None) -> Image.Image:
    assert url is not None
    kind, _, data = url.partition(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(b64decode(data)))


def test_a_folder_of_images(tmp_path: Path) -> None:
    """Copies keep their shape and colour, and are 96 pixels at most."""
    (tmp_path / "a.png").write_bytes(encoded(400, 100))
    (tmp_path / "b.png").write_bytes(encoded(10, 20, colour=(30, 30, 200)))
    wide, small = copies(*source(tmp_path, of_images=True))
    assert opened(wide.url).size == (96, 24)
    assert opened(small.url).size == (10, 20)
    red, _, blue = opened(small.url).getpixel((5, 10))
    assert red < 60 < 170 < blue


def test_a_source_that_is_gone_is_a_reason(tmp_path: Path) -> None:
    """Images, and whole tables of them, that were deleted since are named with the reason; the rest is shown."""
    (tmp_path / "a.png").write_bytes(encoded(9, 9))
    (tmp_path / "b.png").write_bytes(encoded(9, 9))
    images, places = source(tmp_path, of_images=True)
    (tmp_path / "a.png").unlink()
    gone, there = copies(images, places)
    assert (gone.url, gone.why) == (None, "no such file")
    assert there.url is not None
    table = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": [encoded(9, 9)]}), table)
    images, places = source(table)
    table.unlink()
    (gone,) = copies(images, places)
    assert gone.url is None
    assert "t.parquet" in str(gone.why)
    # Of a driver that the nodes have and the machine that writes the report lacks.
    pq.write_table(pa.table({"image": ["absent://bucket/a.png"]}), tmp_path / "u.parquet")
    fsspec.register_implementation("absent", "no_such_driver.FileSystem", clobber=True)
    (gone,) = copies(*source(tmp_path / "u.parquet"))
    assert gone.url is None
    assert "not installed" in str(gone.why)


@pytest.mark.parametrize("kind", ["bytes", "paths", "structs"])
def test_tables_of_images(tmp_path: Path, kind: str) -> None:
    """Rows of a table are found by their place, over several shards."""
    colours = [(0, 0, 40 * i) for i in range(5)]
    data = [encoded(8, 8, colour=colour) for colour in colours]
    names = [f"{i}.png" for i in range(5)]
    for name, content in zip(names, data, strict=True):
        (tmp_path / name).write_bytes(content)
    pairs = [{"bytes": content, "path": None} for content in data]
    columns = {"bytes": data, "paths": names, "structs": pairs}
    pq.write_table(pa.table({"image": columns[kind]}), tmp_path / "t.parquet", row_group_size=2)
    found = copies(*source(tmp_path / "t.parquet"))
    blues = [opened(copy.url).getpixel((4, 4))[2] for copy in found]
    assert blues == pytest.approx([0, 40, 80, 120, 160], abs=4)


def test_of_a_broken_image_what_opens_is_shown(tmp_path: Path) -> None:
    """A photograph that is cut off shows its upper part; what is no image says so; the setting is as before."""
    from PIL import ImageFile

    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(out.getvalue()[: len(out.getvalue()) // 2])
    (tmp_path / "float.tif").write_bytes(b"")
    Image.fromarray(np.linspace(0, 9, 64, dtype=np.float32).reshape(8, 8)).save(tmp_path / "float.tif")
    (tmp_path / "text.jpg").write_text("hello")
    cut, floats, text = copies(*source(tmp_path, of_images=True))
    assert opened(cut.url).size == (96, 96)
    assert opened(floats.url).getpixel((7, 7))[0] > 240
    assert text.url is None
    assert str(text.why).startswith("the bytes are no image of a known format")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_a_bomb_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would take a gigabyte as pixels is not decoded for a copy either."""
    (tmp_path / "a.png").write_bytes(encoded(100, 100))
    for name in ("engine.stages.thumbnails", "operators.images"):
        monkeypatch.setattr(f"{name}.MAX_PIXELS", 5000)
    (bomb,) = copies(*source(tmp_path, of_images=True))
    assert bomb.url is None
    assert bomb.why == "100 x 100 pixels, and 5000 are the most"


def test_number_and_size_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies beyond the bounds are left out, the last ones first, and say so."""
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(encoded(90, 90))
    images, places = source(tmp_path, of_images=True)
    one = len(copies(images, places)[0].url or "")
    monkeypatch.setattr(module, "MOST", 4)
    monkeypatch.setattr(module, "MOST_BYTES", 2 * one)
    found = copies(images, places)
    assert [copy.url is not None for copy in found] == [True, True, False, False, False]
    assert {copy.why for copy in found[2:]} == {"left out to keep this page small"}
