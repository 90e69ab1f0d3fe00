"""Which images are shown: by class and kind, found by their place, and bounded in number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.stages import gallery
from engine.stages.gallery import Gallery, pick_images
from engine.stages.thumbnails import ImageSource, Place
from operators.corpus.plan import Shard, plan_shards
from operators.label import labels_path
from operators.predict import predictions_path
from operators.score import scored_path

# label, confidence, reason, majority vote's label, fault, the distilled model's prediction
ROWS: list[tuple[int, float, str, int, str | None, int]] = [
    (0, 0.9, "labeled", 0, None, 0),
    (0, 0.6, "labeled", 1, None, 0),
    (1, 0.8, "labeled", 1, None, 1),
    (-1, 0.5, "tie", -1, None, 0),
    (-1, 0.5, "uncovered", -1, None, 1),
    (-1, 0.5, "uncovered", -1, "no such file", 1),
    (1, 1.0, "llm", 0, None, 1),
    (0, 0.7, "labeled", 0, None, 0),
    (-1, 0.5, "uncovered", -1, None, 0),
    (-1, 0.5, "uncovered", -1, None, 1),
]


def scored_rows(folder: Path, files: list[list[tuple[Any, ...]]]) -> list[Shard]:
    """Leave scored files, a shard of images each, and the labels of the corpus that they make."""
    (folder / "scored").mkdir()
    (folder / "labels").mkdir()
    (folder / "predictions").mkdir()
    paths = []
    for number, rows in enumerate(files):
        path = Path(scored_path(folder, f"{number:016d}", "s"))
        names = [f"{number}-{row}" for row in range(len(rows))]
        images = [f"{name}.jpg" for name in names]
        faults = pa.array([row[4] for row in rows], pa.string())
        pq.write_table(pa.table({"id": names, "image": images, "fault": faults}), path)
        paths.append(str(path))
    shards = plan_shards(paths, max_rows=1000, max_bytes=1 << 20, columns=["id", "image", "fault"])
    for shard in shards:
        ids: list[str] = []
        rows = []
        for piece in shard.pieces:
            number = int(Path(piece.path).name[:16])
            ids += [f"{number}-{piece.first_row + i}" for i in range(piece.num_rows)]
            rows += files[number][piece.first_row : piece.first_row + piece.num_rows]
        label, confidence, reason, plain, _, guess = zip(*rows, strict=True)
        table = {
            "id": ids,
            "label": np.array(label, np.int8),
            "confidence": np.array(confidence, np.float32),
            "reason": list(reason),
            "majority_label": np.array(plain, np.int8),
        }
        pq.write_table(pa.table(table), labels_path(folder, shard.key, "l"))
        guesses = pa.table({"id": ids, "label": np.array(guess, np.int8)})
        pq.write_table(guesses, predictions_path(folder, shard.key, "p"))
    return shards


def picked(folder: Path, files: list[list[tuple[Any, ...]]]) -> Gallery:
    shards = scored_rows(folder, files)
    faults = sum(row[4] is not None for rows in files for row in rows)
    faulty = tuple(
        Path(scored_path(folder, f"{number:016d}", "s"))
        for number, rows in enumerate(files)
        if any(row[4] is not None for row in rows)
    )
    source = ImageSource(shards={}, column="image", faulty=faulty)
    names = ["land", "water"]
    return pick_images(shards, source, folder=folder, labels="l", predictions="p", class_names=names, num_faults=faults)


def ids(samples: tuple[Any, ...]) -> list[str]:
    return [sample.id for sample in samples]


def test_each_kind_in_its_order(tmp_path: Path) -> None:
    """By class the most certain, the most contested and the uncovered; ties, overruled and faults apart."""
    found = picked(tmp_path, [ROWS[:3], ROWS[3:]])
    figures = found.figures
    assert {name: ids(samples) for name, samples in figures.most_certain.items()} == {
        "land": ["0-0", "1-4", "0-1"],
        "water": ["0-2"],
    }
    assert ids(figures.most_contested["land"]) == ["0-1", "1-4", "0-0"]
    assert ids(figures.ties) == ["1-0"]
    assert ids(figures.overruled) == ["0-1"]
    # By the class that is predicted, as there is no label.
    # What could not be read has no votes either, and is shown with its reason alone.
    assert {name: ids(samples) for name, samples in figures.uncovered.items()} == {
        "land": ["1-5"],
        "water": ["1-1", "1-6"],
    }
    assert [(fault.id, fault.text, fault.why) for fault in figures.faults] == [("1-2", "1-2.jpg", "no such file")]
    assert figures.num_faults == 1
    assert figures.most_certain["land"][0].text == "0-0.jpg"
    assert found.places["1-4"] == Place(shard=f"{1:016d}", row=4)
    assert set(found.places) == set(figures.in_turn())


def test_few_are_picked_of_many(tmp_path: Path) -> None:
    """However many images there are, a few of each kind and a few parts of the corpus are looked at."""
    found = picked(tmp_path, [[ROWS[0]] * 10 + [ROWS[5]] * 2] * 40)
    assert len(found.figures.most_certain["land"]) == gallery._EACH
    assert len(found.figures.faults) == gallery._FAULTS
    assert found.figures.num_faults == 80
    (tmp_path / "more").mkdir()
    parts = scored_rows(tmp_path / "more", [[ROWS[0]]] * 40)
    spread = gallery._spread(parts)
    assert len(spread) == gallery._SHARDS
    assert [shard.pieces[number].path for shard, number in spread][-1].endswith(f"{39:016d}-s.parquet")


def test_one_part_is_enough(tmp_path: Path) -> None:
    """A corpus of one shard of images is looked through once."""
    found = picked(tmp_path, [ROWS])
    assert ids(found.figures.most_certain["water"]) == ["0-2"]
