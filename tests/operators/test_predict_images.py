"""Images are predicted from their files as a run predicts them from its embeddings; a broken one has no label."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.distillation.end_model import EndModel
from operators import fetch
from operators.corpus.plan import plan_shards
from operators.end_model import EMBEDDED_BY, LinearModel
from operators.errors import InputError
from operators.features import FeatureSpec
from operators.featurizer import FeaturizerSpec
from operators.images import UnreadableRow
from operators.predict import predictions_path
from operators.predict_images import PredictImages
from operators.unreached import unreached_in

SOURCE = """
import numpy as np
from operators.images import UnreadableRow

class Firsts:
    num_features = 3

    def __init__(self, factor=1.0):
        self.factor = factor

    def prepare(self, data):
        if data.startswith(b"bad"):
            raise UnreadableRow("it is bad")
        return [self.factor * byte for byte in data[:3]]

    def embed(self, rows):
        return np.array(rows, np.float32)

    def scores(self, embeddings, texts):
        return embeddings
"""
FIRSTS = FeaturizerSpec(use="firsts_featurizer:Firsts", options={"factor": 0.01})
IMAGES = {"a.png": b"abc", "b.png": b"bad", "c.png": b"\x01\xff\x02", "d.png": b"zzz"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "firsts_featurizer.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "images").mkdir()
    for name, data in IMAGES.items():
        (tmp_path / "images" / name).write_bytes(data)
    yield tmp_path
    sys.modules.pop("firsts_featurizer", None)


def save_model(folder: Path, *, width: int = 3) -> LinearModel:
    rng = np.random.default_rng(0)
    model = LinearModel(
        features=FeatureSpec(kind="embedding", width=width),
        class_names=("x", "y"),
        weight=rng.normal(size=(width, 2)).astype(np.float32),
        bias=rng.normal(size=2).astype(np.float32),
        scales=np.ones(width, np.float32),
        extra={"facts": {EMBEDDED_BY: {"use": FIRSTS.use, "options": dict(FIRSTS.options)}}},
    )
    (folder / "model").mkdir()
    model.save(folder / "model")
    return model


def as_text(data: bytes) -> str:
    """An embedding as a run hands it to its distilled model."""
    return b64encode(np.array([0.01 * byte for byte in data[:3]], np.float16).tobytes()).decode()


def predicted(folder: Path, source: Path, *, column: str, of_images: bool) -> pa.Table:
    (shard,) = plan_shards([str(source)], max_rows=9, max_bytes=1 << 20, columns=[column], of_images=of_images)
    step = PredictImages(
        model=str(folder / "model"), folder=str(folder), column=column, id_column=None, featurizer=FIRSTS, digest="p"
    )
    assert json.loads(step(shard.to_json())) == {"rows": 4}
    step.close()
    return pq.read_table(predictions_path(folder, shard.key, "p"))


@pytest.mark.parametrize("of_images", [True, False], ids=["folder", "table"])
def test_files_are_predicted_as_their_embeddings_are(folder: Path, of_images: bool) -> None:
    """Bit for bit what a run's distilled model says of the embedding; a broken image has a reason instead."""
    model = save_model(folder)
    (folder / "list.csv").write_text("path\n" + "".join(f"images/{name}\n" for name in IMAGES))
    source, column = (folder / "images", "image") if of_images else (folder / "list.csv", "path")
    table = predicted(folder, source, column=column, of_images=of_images)
    assert [Path(name).name for name in table.column("image").to_pylist()] == list(IMAGES)
    expected = model.predict_proba([as_text(data) for data in IMAGES.values()]).astype(np.float32)
    for place, name in enumerate(IMAGES):
        bad = name == "b.png"
        assert table.column("probabilities")[place].as_py() == (None if bad else expected[place].tolist())
        assert table.column("label")[place].as_py() == (-1 if bad else expected[place].argmax())
        assert table.column("fault")[place].as_py() == ("it is bad" if bad else None)


def test_what_could_not_be_reached_is_predicted_by_the_next_run(
    folder: Path, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others keep what they have and are not fetched again."""
    model = save_model(folder)
    monkeypatch.setattr(fetch, "WAITS_S", (0.0, 0.0))
    web.answers = {f"/{name}": [data] for name, data in IMAGES.items()} | {"/a.png": [503], "/d.png": [503]}
    (folder / "list.csv").write_text("path\n" + "".join(f"{web.url}/{name}\n" for name in IMAGES))
    before = predicted(folder, folder / "list.csv", column="path", of_images=False)
    assert [label == -1 for label in before.column("label").to_pylist()] == [True, True, False, True]
    (path,) = (folder / "predictions").iterdir()
    assert unreached_in(path) == (0, 3)
    web.answers |= {f"/{name}": [IMAGES[name]] for name in ("a.png", "d.png")}
    web.asked.clear()
    after = predicted(folder, folder / "list.csv", column="path", of_images=False)
    assert set(web.asked) == {"/a.png", "/d.png"}
    expected = model.predict_proba([as_text(data) for data in IMAGES.values()]).astype(np.float32)
    for place in (0, 2, 3):
        assert after.column("probabilities")[place].as_py() == expected[place].tolist()
        assert after.column("label")[place].as_py() == expected[place].argmax()
    assert after.column("fault").to_pylist() == [None, "it is bad", None, None]
    assert unreached_in(path) == ()


def test_a_user_predicts_paths_and_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths, as text or not, relative or not, and encoded bytes are the same images; what cannot be read is named."""
    model = save_model(folder)
    monkeypatch.chdir(folder)
    loaded = EndModel.load(folder / "model")
    rows = ["images/a.png", folder / "images" / "c.png", IMAGES["d.png"]]
    expected = model.predict_proba([as_text(IMAGES[name]) for name in ("a.png", "c.png", "d.png")])
    assert np.array_equal(loaded.predict_proba(rows), expected)
    assert loaded.predict(rows).tolist() == expected.argmax(axis=1).tolist()
    assert loaded.predict_proba([]).shape == (0, 2)
    for row, message in (("gone.png", "gone.png: no such file"), (b"bad", "image 0: it is bad"), (None, "image 0")):
        with pytest.raises(UnreadableRow, match=message):
            loaded.predict([row])
    with pytest.raises(TypeError, match="list of rows"):
        loaded.predict("images/a.png")


def test_onnx_takes_images_as_predict_does(folder: Path) -> None:
    """The graph's input is made of paths and bytes, and the graph answers as the model."""
    onnxruntime = pytest.importorskip("onnxruntime")
    save_model(folder)
    model = EndModel.load(folder / "model")
    model.to_onnx(folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    for rows in ([folder / "images" / "a.png", IMAGES["d.png"]], []):
        (found,) = session.run(None, model.onnx_inputs(rows))
        np.testing.assert_allclose(found, model.predict_proba(rows), atol=1e-6)
    with pytest.raises(UnreadableRow, match="gone.png: no such file"):
        model.onnx_inputs(["gone.png"])


def test_other_weights_are_refused_by_their_width(folder: Path) -> None:
    """A featurizer that gives other embeddings than the model was distilled from is no silent nonsense."""
    save_model(folder, width=5)
    with pytest.raises(InputError, match="embeddings of 3 numbers, and the model was distilled from 5"):
        EndModel.load(folder / "model").predict([folder / "images" / "a.png"])
