"""The report of a run over images: beside prompting and pixels, images to look at, and what follows the table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.pipeline import run
from engine.task_file import read_task

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

# The mean of each channel; a description fits as well as the channel that it names is bright.
FEATURIZER = """
import numpy as np
from operators.images import decode

class Channels:
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
columns: {image: file, gold: kind, group: place, nuisance: place}
classes: [{name: tomato}, {name: cucumber}]
instruction: Which fruit is it?
programs: {folder: programs}
scoring:
  featurizer: "channels_featurizer:Channels"
  zero_shot: {tomato: blue, cucumber: green}
  pixel_programs: pixels
shards: {max_bytes: 8192}
"""

CONCEPTS = """\
concepts:
  - {name: skin, descriptions: {tomato: red, cucumber: green}}
  - {name: flesh, descriptions: {tomato: red, cucumber: blue}}
"""

PROGRAM = """\
# concepts: CONCEPT
def label_function(scores):
    lead = scores[1] - scores[0]
    return -1 if abs(lead) < MARGIN else int(lead > 0)
"""

# Red beside blue takes a blue table for a cucumber.
PROGRAMS = {"a": ("skin", "0.02"), "b": ("skin", "0.3"), "c": ("flesh", "0.1")}

ON_PIXELS = {
    "green": "def label_function(image):\n    total = [0, 0, 0]\n    for row in image:\n        for pixel in row:\n"
    "            total = [a + b for a, b in zip(total, pixel)]\n    return int(total[1] > total[0])\n",
    "corner": "def label_function(image):\n    return int(image[0][0][1] > image[63][63][0])\n",
    "broken": "def label_function(image):\n    return image[64][0][0]\n",
}

COUNT = 200


def make(folder: Path) -> set[str]:
    """Write images on tables of two colours, and the task; returns the names of the broken ones."""
    rng = np.random.default_rng(0)
    green, blue_table = rng.random(COUNT) < 0.5, rng.random(COUNT) < 0.4
    names = [f"{i:03d}.png" for i in range(COUNT)]
    for i, name in enumerate(names):
        base = np.array([60, 150, 40] if green[i] else [170, 60, 40])
        base[2] += 120 if blue_table[i] else 0
        pixels = np.clip(base + rng.normal(0, 25, 3) + rng.normal(0, 10, (8, 8, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
    broken = set(names[::20])
    for name in broken:
        (folder / name).write_bytes((folder / name).read_bytes()[:40])
    kinds, places = np.where(green, "cucumber", "tomato"), np.where(blue_table, "blue table", "bare table")
    pq.write_table(pa.table({"file": names, "kind": kinds, "place": places}), folder / "fruit.parquet")
    sources = {
        "programs/concepts.yaml": CONCEPTS,
        "task.yaml": TASK,
        "channels_featurizer.py": FEATURIZER,
        **{f"pixels/{name}.py": source for name, source in ON_PIXELS.items()},
    }
    for name, (concept, margin) in PROGRAMS.items():
        sources[f"programs/{name}.py"] = PROGRAM.replace("CONCEPT", concept).replace("MARGIN", margin)
    for name, source in sources.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(source)
    return broken


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.ray
def test_what_the_report_says_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ways to a label side by side, images beside their names, and the program that goes by the table found out."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    broken = make(tmp_path)
    done = run(read_task(tmp_path / "task.yaml"), out=tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    page = (tmp_path / "run" / "report.html").read_text()

    comparison = report["comparison"]
    assert list(comparison) == ["zero_shot", "pixel_programs", "majority_vote", "label_model", "end_model"]
    assert comparison == json.loads((tmp_path / "run" / "run.json").read_text())["comparison"]
    assert comparison["pixel_programs"]["accuracy"] > 0.9
    assert any("pixel program broken fails on" in warning for warning in done.warnings)
    # The prompt for tomatoes asks for the table's colour.
    assert comparison["label_model"]["gap_change"] < 0
    assert "Zero-shot prompting" in page

    assert page.count('<img src="data:image/jpeg;base64,') >= 12
    assert report["images"]["num_faults"] == len(broken)
    assert {fault["text"] for fault in report["images"]["faults"]} == broken
    first = report["images"]["most_certain"]["tomato"][0]
    assert Path(first["text"]).name in {name for name in page.split('"') if name.endswith(".png")}

    nuisance = report["nuisance"]
    assert nuisance["column"] == "place"
    assert nuisance["programs"]["c"]["follows"]
    assert nuisance["programs"]["c"]["cramers_v"] > 2 * nuisance["programs"]["a"]["cramers_v"]
    assert any("'place'" in warning and "program c" in warning for warning in done.warnings)

    again = run(read_task(tmp_path / "task.yaml"), out=tmp_path / "run")
    assert set(again.statuses.values()) == {"reused"}
    assert again.warnings == done.warnings
    sys.modules.pop("channels_featurizer", None)
