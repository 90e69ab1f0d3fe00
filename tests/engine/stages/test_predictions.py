"""Which data a distilled model may be given, and what its actors get of the machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.session import Session
from engine.errors import ConfigError
from engine.pipeline import predict_corpus
from engine.stages.predictions import predict_shards
from operators.corpus.pieces import Piece
from operators.corpus.plan import Shard
from operators.end_model import EMBEDDED_BY, FIELDS, LinearModel
from operators.errors import InputError
from operators.features import FeatureSpec
from operators.ngrams import NUM_LOOKS


def save(folder: Path, *, width: int | None, featurizer: str | None = None) -> Path:
    """Save a model over embeddings of a width, or over texts."""
    features = FeatureSpec(num_features_log2=10) if width is None else FeatureSpec(kind="embedding", width=width)
    d = 2**10 + NUM_LOOKS if width is None else width
    facts = {} if featurizer is None else {EMBEDDED_BY: {"use": featurizer, "options": {}}}
    model = LinearModel(
        features=features,
        class_names=("a", "b"),
        weight=np.zeros((d, 2), np.float32),
        bias=np.zeros(2, np.float32),
        scales=np.ones(d, np.float32),
        extra={"facts": facts},
    )
    folder.mkdir()
    model.save(folder)
    return folder


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ({"width": None}, {"image": "file"}, "reads texts"),
        ({"width": 3}, {}, "does not say what embedded its images"),
        ({"width": 3}, {"image": "file"}, "does not say what embedded its images"),
        ({"width": 3, "featurizer": "a:B"}, {"image": "file", "text": "embedding"}, "give one of them"),
    ],
)
def test_data_that_the_model_cannot_read_is_refused(
    tmp_path: Path, model: dict[str, object], options: dict[str, str], message: str
) -> None:
    """The message says what the model reads, and nothing is written."""
    folder = save(tmp_path / "model", **model)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        predict_corpus(folder, ["x"], out=tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["text", "image"])
@pytest.mark.parametrize("as_features", [False, True])
def test_a_model_of_records_names_its_columns_itself(tmp_path: Path, as_features: bool, option: str) -> None:
    """A column that is named beside those of the model would be passed over, so it is refused."""
    told = {"kind": "columns", "columns": ("age", "job")} if as_features else {}
    features = FeatureSpec(**told, num_features_log2=4)  # type: ignore[arg-type]
    facts = {} if as_features else {FIELDS: {"columns": ["age", "job"], "as_json": False}}
    ones = np.ones(2**4, np.float32)
    LinearModel(
        features=features,
        class_names=("a", "b"),
        weight=np.ones((2**4, 2), np.float32),
        bias=ones[:2],
        scales=ones,
        extra={"facts": facts},
    ).save(tmp_path)
    with pytest.raises(ConfigError, match=f"reads the columns age, job, so `--{option} file` has no meaning"):
        predict_corpus(tmp_path, ["x"], out=tmp_path / "out", **{option: "file"})  # type: ignore[arg-type]


def test_images_are_looked_for_by_what_is_named(tmp_path: Path) -> None:
    """Without a column DATA are image files; with one they are tables."""
    folder = save(tmp_path / "model", width=3, featurizer="operators.clip:OpenClip")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("path\na.png\n")
    with pytest.raises(InputError, match="leads to no corpus file"):
        predict_corpus(folder, [str(tmp_path / "data")], out=tmp_path / "out")
    with pytest.raises(InputError, match="no column 'file'"):
        predict_corpus(folder, [str(tmp_path / "data")], image="file", out=tmp_path / "out")


class Recorder:
    """In the place of a `Stream`: runs nothing and keeps what it was asked to run."""

    def __init__(self, *, num_gpus: int) -> None:
        self.session = Session(num_cpus=8, num_nodes=1, node_memory_bytes=(8 << 30,), local=True, num_gpus=num_gpus)
        self.asked: dict[str, Any] = {}

    def __call__(self, items: Sequence[str], step: type, **how: Any) -> Iterator[bytes]:
        self.asked = {"items": len(items), "step": step, **how}
        return iter(())


@pytest.mark.parametrize(
    ("encoded", "gpus", "actors", "threads", "on_gpu", "patience"),
    [
        (True, 0, 1, 8, 0.0, 8000),
        (True, 2, 2, 1, 1.0, 8000),
        (False, 2, 1, None, 0.0, 300),
    ],
)
def test_an_encoder_gets_what_the_machine_has_and_time(
    encoded: bool, gpus: int, actors: int, threads: int | None, on_gpu: float, patience: float
) -> None:
    """Two shards of 4,000 rows: GPUs or cores for encoders, and seconds a row before they are called stuck."""
    given = {"format": "csv", "size": 9, "stamp": "", "first_row": 0, "num_rows": 4000, "num_bytes": 9}
    pieces = [Piece(path=name, name=name, **given) for name in ("a.csv", "b.csv")]  # type: ignore[arg-type]
    shards = [Shard.of([piece], split=None) for piece in pieces]
    recorder = Recorder(num_gpus=gpus)
    predict_shards(recorder, shards, {}, featurizer=None, encoded=encoded)  # type: ignore[arg-type]
    asked = recorder.asked
    assert (asked["items"], asked["num_actors"], asked["num_gpus"]) == (2, actors, on_gpu)
    assert asked["step_args"].get("threads") == threads
    assert asked["patience_s"] == patience
