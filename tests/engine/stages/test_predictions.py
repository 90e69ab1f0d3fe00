"""Which data a distilled model may be given: texts, images, or embeddings made before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import ConfigError
from engine.pipeline import predict_corpus
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
