"""Images that cannot be reached in one run are tried again by the next, and nothing else is computed again."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.pipeline import predict_corpus, run
from engine.task_file import read_task
from operators.end_model import EMBEDDED_BY, LinearModel
from operators.features import FeatureSpec

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

FEATURIZER = """
import numpy as np
from operators.images import decode

class Mean:
    num_features = 3

    def prepare(self, data):
        return np.asarray(decode(data), np.float32).mean(axis=(0, 1)) / 255

    def embed(self, rows):
        return np.stack(rows)

    def scores(self, embeddings, texts):
        return 10 * embeddings[:, [["red", "green", "blue"].index(text) for text in texts]]
"""

TASK = """\
name: fruit
modality: image
data: {source: fruit.parquet}
columns: {image: url}
classes: [{name: tomato}, {name: cucumber}]
instruction: Which fruit is it?
programs: {folder: programs}
scoring: {featurizer: "mean_featurizer:Mean", zero_shot: {tomato: red, cucumber: green}}
shards: {max_rows: 10}
"""

CONCEPTS = "concepts:\n  - {name: skin, descriptions: {tomato: red, cucumber: green}}\n"

PROGRAM = """\
# concepts: skin
def label_function(scores):
    return int(scores[1] - scores[0] > %s)
"""


def encoded(green: bool) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), (40, 150, 40) if green else (170, 60, 40)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def shop(tmp_path: Path, web: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Sequence[int]], None]]:
    """Serve so many images, some of which are not to be had, and write a table of their URLs."""
    (tmp_path / "mean_featurizer.py").write_text(FEATURIZER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")

    def serve(count: int, down: Sequence[int]) -> None:
        web.asked.clear()
        for number in range(count):
            web.answers[f"/{number}.png"] = [503 if number in down else encoded(number % 2 == 1)]
        urls = [f"{web.url}/{number}.png" for number in range(count)]
        if not (tmp_path / "fruit.parquet").exists():
            pq.write_table(pa.table({"url": urls}), tmp_path / "fruit.parquet")

    yield serve
    sys.modules.pop("mean_featurizer", None)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.long
def test_a_server_that_is_down_costs_its_rows_one_run(
    tmp_path: Path, web: Any, shop: Callable[[int, Sequence[int]], None]
) -> None:
    """Its images are faults that say so; a run while it is down changes nothing; one when it is up labels them."""
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "concepts.yaml").write_text(CONCEPTS)
    for name, margin in (("a", "0"), ("b", "0.1"), ("c", "-0.1")):
        (tmp_path / "programs" / f"{name}.py").write_text(PROGRAM % margin)
    (tmp_path / "task.yaml").write_text(TASK)

    def done() -> Any:
        return run(read_task(tmp_path / "task.yaml"), out=tmp_path / "run", until="label")

    shop(20, [3, 5])
    first = done()
    noted = json.loads((tmp_path / "run" / "run.json").read_text())["image_faults"]
    assert [row["image"] for row in noted] == [f"{web.url}/{number}.png" for number in (3, 5)]
    assert all("could not be reached" in row["fault"] for row in noted)
    labels = first.labels()
    assert sorted(labels[labels.reason == "uncovered"].id) == ["fruit.parquet:3", "fruit.parquet:5"]

    shop(20, [3, 5])
    second = done()
    assert set(web.asked) == {"/3.png", "/5.png"}
    told = "computed 1 of 2 shards embedded, 0 scored: images that could not be reached are tried again"
    assert second.reasons["score"] == told
    assert {stage for stage, status in second.statuses.items() if status == "computed"} == {"score"}

    shop(20, [])
    third = done()
    assert set(web.asked) == {"/3.png", "/5.png"}
    assert third.reasons["score"] == told.replace("0 scored", "1 scored")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["image_faults"] == []
    labels = third.labels().set_index("id")
    assert (labels.reason == "labeled").all()
    assert labels.label[[f"fruit.parquet:{number}" for number in range(20)]].tolist() == list(np.tile([0, 1], 10))
    assert len(list((tmp_path / "run" / "scored").iterdir())) == 2

    shop(20, [])
    assert set(done().statuses.values()) == {"reused"}
    assert web.asked == []


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.long
def test_predictions_of_what_could_not_be_reached_are_made_by_the_next_call(
    tmp_path: Path, web: Any, shop: Callable[[int, Sequence[int]], None]
) -> None:
    """A call goes on where the last one could not, and asks for nothing else."""
    model = LinearModel(
        features=FeatureSpec(kind="embedding", width=3),
        class_names=("tomato", "cucumber"),
        weight=np.array([[9, -9], [-9, 9], [0, 0]], np.float32),
        bias=np.zeros(2, np.float32),
        scales=np.ones(3, np.float32),
        extra={"facts": {EMBEDDED_BY: {"use": "mean_featurizer:Mean", "options": {}}}},
    )
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")

    def done(down: Sequence[int]) -> tuple[Any, list[int]]:
        shop(4, down)
        data = [str(tmp_path / "fruit.parquet")]
        told = predict_corpus(tmp_path / "model", data, image="url", out=tmp_path / "out")
        return told, pq.read_table(tmp_path / "out" / "predictions").column("label").to_pylist()

    told, labels = done([1, 2])
    assert (told["unreadable"], labels) == (2, [0, -1, -1, 1])
    told, labels = done([])
    assert (told["unreadable"], told["reused"], labels) == (0, 0, [0, 1, 0, 1])
    assert set(web.asked) == {"/1.png", "/2.png"}
    told, _ = done([])
    assert (told["reused"], web.asked) == (1, [])
