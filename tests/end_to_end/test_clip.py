"""Images through CLIP on the cluster: embedded once a shard, scored by texts that are encoded once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.pipeline import RunResult, run
from engine.task_file import read_task

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.ray]

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}

TASK = """\
name: insects
modality: image
data: {source: insects}
columns: {gold: label}
classes: [{name: ant}, {name: bee}]
instruction: Which insect is it?
programs: {folder: programs}
shards: {max_rows: 20}
scoring:
"""

CONCEPTS = """\
concepts:
  - {name: body, descriptions: {ant: a dark thin body, bee: a striped body}}
  - {name: wings, descriptions: {ant: no wings, bee: clear wings}}
"""

PROGRAM = "# concepts: body\ndef label_function(scores):\n    return int(scores[1] > scores[0])\n"

# Scores are brightness times the length of a text; who makes one is counted, and says to need more than any node has.
COUNTED = """
import numpy as np
from operators.images import decode

class Counted:
    num_features = 1

    def __init__(self):
        with open("MADE", "a") as made:
            made.write("x")

    @classmethod
    def memory_bytes(cls):
        return 1 << 50

    def prepare(self, data):
        return [np.asarray(decode(data), np.float32).mean() / 255]

    def embed(self, rows):
        return np.array(rows, np.float32)

    def encode_texts(self, texts):
        return np.array([[len(text)] for text in texts], np.float32)

    def scores(self, embeddings, texts):
        return embeddings @ self.encode_texts(texts).T
"""


@pytest.fixture
def labeled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], RunResult]:
    """Make 60 images in three shards, programs and concepts; score them as told."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    rng = np.random.default_rng(0)
    for i in range(60):
        folder = tmp_path / "insects" / ("ant", "bee")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 50 + i, 3), dtype=np.uint8)).save(folder / f"{i:02d}.png")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "a.py").write_text(PROGRAM)
    (tmp_path / "programs" / "concepts.yaml").write_text(CONCEPTS)

    def make(scoring: dict[str, Any]) -> RunResult:
        told = "".join(f"  {name}: {json.dumps(value)}\n" for name, value in scoring.items())
        (tmp_path / "task.yaml").write_text(TASK + told)
        return run(read_task(tmp_path / "task.yaml"), out=tmp_path / "run", until="label")

    return make


def edit_concepts(folder: Path) -> None:
    path = folder / "programs" / "concepts.yaml"
    path.write_text(path.read_text().replace("clear wings", "two pairs of wings"))


def test_clip_embeds_each_shard_once(labeled: Callable[[dict[str, Any]], RunResult], tmp_path: Path) -> None:
    """A rerun computes nothing, a lost shard costs itself, concepts no pass over the images, preprocessing one."""
    import torch

    from operators.clip import OpenClip
    from operators.torchvision_ops import ensure_torchvision

    ensure_torchvision()
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
    config = tmp_path / "tiny-insects-clip.json"
    config.write_text(json.dumps(TINY))
    open_clip.add_model_config(str(config))
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny-insects-clip").state_dict(), tmp_path / "weights.pt")
    options = {"model": "tiny-insects-clip", "pretrained": str(tmp_path / "weights.pt"), "config": str(config)}

    def stored() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "embeddings").iterdir()}

    first = labeled({"options": options})
    assert first.reasons["score"] == "computed 3 of 3 shards embedded, 3 scored for the first time"
    kept = stored()
    clip = OpenClip(**options)
    for path in kept:
        rows = pq.read_table(path).to_pylist()
        images = [clip.prepare((tmp_path / "insects" / row["image"]).read_bytes()) for row in rows]
        assert np.allclose(clip.embed(images), [row["embedding"] for row in rows], atol=2e-3)

    again = labeled({"options": options})
    assert set(again.statuses.values()) == {"reused"}

    lost = next(iter(kept))
    lost.unlink()
    next((tmp_path / "run" / "scored").glob(f"{lost.name.split('-')[0]}-*")).unlink()
    mended = labeled({"options": options})
    assert mended.reasons["score"] == "computed 1 of 3 shards embedded, 1 scored: files of it are gone"
    assert {path: at for path, at in stored().items() if path != lost} == {k: at for k, at in kept.items() if k != lost}

    kept = stored()
    edit_concepts(tmp_path)
    edited = labeled({"options": options})
    assert edited.reasons["score"].startswith("computed 0 of 3 shards embedded, 3 scored: the concepts")
    assert stored() == kept

    squashed = labeled({"options": options | {"resize_mode": "squash"}})
    assert squashed.reasons["score"].startswith("computed 3 of 3 shards embedded, 3 scored")
    assert not set(stored()) & set(kept)


@pytest.mark.parametrize("normalisation", ["softmax", "min_max"])
@pytest.mark.long
def test_a_model_is_made_where_it_is_needed(
    labeled: Callable[[dict[str, Any]], RunResult], tmp_path: Path, normalisation: str
) -> None:
    """One for texts, one for images where memory lets no second one beside, none to score what is stored."""
    made = tmp_path / "made"
    (tmp_path / "counted_featurizer.py").write_text(COUNTED.replace("MADE", str(made)))
    scoring = {"featurizer": "counted_featurizer:Counted", "normalisation": normalisation}
    first = labeled(scoring)
    assert made.read_text() == "xx"
    assert any("an actor may need 1073741824 MB" in warning for warning in first.warnings)
    edit_concepts(tmp_path)
    edited = labeled(scoring)
    assert edited.reasons["score"].startswith("computed 0 of 3 shards embedded, 3 scored")
    assert made.read_text() == "xxx"
