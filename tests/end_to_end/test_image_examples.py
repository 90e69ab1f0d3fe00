"""Examples run from their own files: recordings by the door of images, and Waterbirds up to CLIP's weights."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.pipeline import predict_corpus, run
from engine.task_file import read_task

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

# In the place of CLIP: how bright the middle of an image is, which is a waterbird here, beside descriptions of either.
BRIGHTNESS = """
from pathlib import Path

import numpy as np
import yaml

from operators.images import decode

CONCEPTS = yaml.safe_load((Path(__file__).parent / "waterbirds" / "programs" / "concepts.yaml").read_text())
WATER = {concept["descriptions"]["waterbird"] for concept in CONCEPTS["concepts"]}


class Brightness:
    num_features = 2

    def prepare(self, data):
        pixels = np.asarray(decode(data), np.float32) / 255
        return pixels[24:40, 24:40].mean(), 1

    def embed(self, rows):
        return np.array(rows, np.float32)

    def scores(self, embeddings, texts):
        ends = np.array([1 if text in WATER or "waterbird" in text else -1 for text in texts])
        return 4 * (embeddings[:, :1] - 0.5) * ends
"""


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copy the examples, without what a user has made in them, to where workers import from."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("data", "__pycache__"))
    (folder / "brightness.py").write_text(BRIGHTNESS)
    for path in (folder, folder / "featurizers"):
        monkeypatch.syspath_prepend(str(path))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{folder / 'featurizers'}:{ROOT}")
    yield folder
    for name in ("wav_signal", "brightness"):
        sys.modules.pop(name, None)


def noted(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return content


@pytest.mark.slow
@pytest.mark.ray
def test_recordings_are_labeled_by_the_door_of_images(examples: Path, tmp_path: Path) -> None:
    """From WAV files to a distilled model that labels others; no prompt is made up for a scorer of fixed words."""
    prepare = runpy.run_path(str(examples / "sounds" / "prepare.py"))["prepare"]
    assert prepare(examples / "sounds" / "data") == 180
    (examples / "sounds" / "data" / "007.wav").write_bytes(b"RIFF")
    done = run(read_task(examples / "sounds" / "task.yaml"), out=tmp_path / "run")
    (fault,) = noted(tmp_path / "run")["image_faults"]
    assert (fault["image"], fault["fault"]) == ("007.wav", "no WAV file: it ends early")
    table = noted(tmp_path / "run")["comparison"]
    assert list(table) == ["majority_vote", "label_model", "end_model"]
    assert min(line["accuracy"] for line in table.values()) > 0.9
    assert done.quarantined == {}
    (examples / "sounds" / "programs" / "concepts.yaml").unlink()
    model, data = tmp_path / "run" / "model", [str(examples / "sounds" / "data" / "sounds.csv")]
    assert predict_corpus(model, data, image="file", out=tmp_path / "predicted")["unreadable"] == 1


def birds(folder: Path) -> None:
    """Write a tiny Waterbirds in the layout of WILDS: 160 images, bright birds of the water, a fifth out of place."""
    rng, rows = np.random.default_rng(0), ["img_id,img_filename,y,split,place,place_filename"]
    for number in range(160):
        bird, split = number % 2, (0, 2, 2, 1)[number // 2 % 4]
        place = bird if number % 10 < 8 else 1 - bird
        pixels = rng.normal((40, 80, 180) if place else (50, 120, 40), 8, (64, 64, 3))
        pixels[20:44, 20:44] = rng.normal(200 if bird else 90, 30, 1) + rng.normal(0, 5, (24, 24, 3))
        name = f"{number % 7}.bird/{number:03d}.jpg"
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / name)
        rows.append(f"{number},{name},{bird},{split},{place},x.jpg")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.slow
@pytest.mark.ray
def test_waterbirds_runs_up_to_the_weights_of_clip(examples: Path, tmp_path: Path) -> None:
    """Every line of the table is there, and programs on raw pixels take the place for the bird."""
    birds(tmp_path / "images")
    here = examples / "waterbirds"
    prepare = runpy.run_path(str(here / "prepare.py"))["prepare"]
    assert prepare(tmp_path / "images", here / "data" / "waterbirds.parquet") == 160
    task = read_task(here / "task.yaml")
    scoring = task.scoring.model_copy(update={"featurizer": "brightness:Brightness", "options": {}})
    done = run(task.model_copy(update={"scoring": scoring}), out=tmp_path / "run")
    table = noted(tmp_path / "run")["comparison"]
    ways = ["zero_shot", "group_prompts", "pixel_programs", "majority_vote", "label_model", "end_model"]
    assert list(table) == ways
    assert {line["rows"] for line in table.values()} == {80}
    assert not [warning for warning in done.warnings if "pixel program" in warning]
    assert table["pixel_programs"]["accuracy"] < table["label_model"]["accuracy"]
