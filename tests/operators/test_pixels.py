"""Programs over pixels: what they are given, which rows they vote on, and that what fails is told."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators import fetch
from operators.corpus.plan import plan_shards
from operators.errors import InputError
from operators.images import UnreadableRow
from operators.pixels import PixelNotes, PixelShard, as_pixels, pixels_path, read_notes
from operators.sandbox.pool import Limits
from operators.score import scored_path

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

GREEN = "def label_function(image):\n    return int(image[0][0][1] > 100)\n"
RAISES = "def label_function(image):\n    return 1 if image[0][0][0] > 100 else image['x']\n"


def encoded(*pixels: list[tuple[int, int, int]]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.array(pixels, np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_rows_from_top_to_bottom() -> None:
    """Rows, then columns, then red, green and blue; an image of another size is brought to the side."""
    red, blue, white = (255, 0, 0), (0, 0, 255), (255, 255, 255)
    image = json.loads(as_pixels(encoded([red, red], [blue, white]), side=2))
    assert image == [[list(red), list(red)], [list(blue), list(white)]]
    wide = json.loads(as_pixels(encoded([red] * 40), side=8))
    assert np.shape(wide) == (8, 8, 3)
    assert (np.array(wide) == red).all()
    with pytest.raises(UnreadableRow):
        as_pixels(b"hello", side=2)


@pytest.fixture
def step(tmp_path: Path) -> Callable[..., tuple[np.ndarray, PixelNotes]]:
    """Run programs over four images: green, red, none, green; the last is of the train split."""

    def run(
        split: list[str], *, images: list[Any] | None = None, faults: list[str | None] | None = None, **sources: str
    ) -> tuple[np.ndarray, PixelNotes]:
        green, red = encoded([(0, 200, 0)]), encoded([(200, 0, 0)])
        table = tmp_path / "t.parquet"
        pq.write_table(pa.table({"image": images or [green, red, b"hello", green]}), table)
        (shard,) = plan_shards([str(table)], max_rows=10, max_bytes=1 << 20, columns=["image"])
        scored = Path(scored_path(tmp_path, shard.key, "s"))
        scored.parent.mkdir(exist_ok=True)
        pq.write_table(
            pa.table({"split": split, "fault": pa.array(faults or [None] * len(split), pa.string())}), scored
        )
        made = PixelShard(
            folder=str(tmp_path),
            column="image",
            id_column=None,
            scored="s",
            side=8,
            names=list(sources),
            sources=list(sources.values()),
            num_classes=2,
            limits=Limits(records=True),
            digest="d",
        )
        try:
            assert made(shard.to_json()) == b""
        finally:
            made.close()
        path = pixels_path(tmp_path, shard.key, "d")
        votes = pq.read_table(path)
        assert votes.column_names == list(sources)
        return np.column_stack([column.to_numpy() for column in votes.columns]), read_notes(path)

    return run


def test_test_rows_alone_are_voted_on(step: Callable[..., tuple[np.ndarray, PixelNotes]]) -> None:
    """Train rows and what is no image have no vote, and are no fault."""
    votes, notes = step(["test", "test", "test", "train"], green=GREEN)
    assert votes[:, 0].tolist() == [1, 0, -1, -1]
    assert notes == PixelNotes()


def test_faults_are_told(step: Callable[..., tuple[np.ndarray, PixelNotes]]) -> None:
    """A program that fails on an image has no vote there, and the first message is kept."""
    votes, notes = step(["test"] * 4, green=GREEN, raises=RAISES)
    assert votes.tolist() == [[1, -1], [0, 1], [-1, -1], [1, -1]]
    assert notes.faults == {"raises": 2}
    assert "TypeError" in notes.messages["raises"]


def test_what_cannot_be_reached_is_counted_and_tried_again(
    step: Callable[..., tuple[np.ndarray, PixelNotes]], web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no vote this time, and the file is written anew the next time; what has no scores is not looked for."""
    monkeypatch.setattr(fetch, "WAITS_S", (0.0, 0.0))
    green = encoded([(0, 200, 0)])
    web.answers = {"/0.png": [503], "/1.png": [503, green], "/2.png": [503]}
    urls = [f"{web.url}/{i}.png" for i in range(3)]
    faults = [None, None, "could not be reached"]
    for expected, unreached in (([-1, 1, -1], 1), ([1, 1, -1], 0)):
        votes, notes = step(["test"] * 3, images=urls, faults=faults, green=GREEN)
        assert votes[:, 0].tolist() == expected
        assert notes == PixelNotes(unreached=unreached)
        web.answers["/0.png"] = [green]
    assert "/2.png" not in web.asked


def test_a_shard_that_changed_is_refused(step: Callable[..., tuple[np.ndarray, PixelNotes]]) -> None:
    """Votes would stand beside other rows."""
    with pytest.raises(InputError, match="3 rows were scored, 4 are there"):
        step(["test"] * 3, green=GREEN)


def test_notes_add_up() -> None:
    """Counts are added, and what was said first is kept."""
    first = PixelNotes(faults={"a": 1}, messages={"a": "x"}, unreached=1)
    second = PixelNotes(faults={"a": 2, "b": 1}, messages={"a": "y", "b": "z"}, quarantined={"b": "why"}, unreached=2)
    assert first + second == PixelNotes(
        faults={"a": 3, "b": 1}, messages={"a": "x", "b": "z"}, quarantined={"b": "why"}, unreached=3
    )
