"""What a distilled model takes for a row: the text, record or image that it was distilled from, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.distillation.end_model import EndModel
from operators.end_model import FIELDS, LinearModel
from operators.errors import InputError
from operators.features import FeatureSpec
from operators.ngrams import NUM_LOOKS


def _model(folder: Path, **facts: Any) -> EndModel:
    """Save and load a model of hashed n-grams with these facts."""
    rng = np.random.default_rng(0)
    d = 2**10 + NUM_LOOKS
    LinearModel(
        features=FeatureSpec(num_features_log2=10),
        class_names=("a", "b"),
        weight=rng.normal(size=(d, 2)).astype(np.float32),
        bias=np.zeros(2, np.float32),
        scales=np.ones(d, np.float32),
        extra={"facts": facts},
    ).save(folder)
    return EndModel.load(folder)


def test_a_record_is_read_as_the_lines_it_was_learned_as(tmp_path: Path) -> None:
    """A dict gets the answer of its "column: value" lines, whatever the order of its keys and what else is in it."""
    model = _model(tmp_path, **{FIELDS: {"columns": ["income", "job"], "as_json": False}})
    found = model.predict_proba([{"id": 7, "job": "nurse", "income": 2500.5}, {"income": None, "job": "clerk"}])
    lines = model.predict_proba(["income: 2500.5\njob: nurse", "job: clerk"])
    assert np.array_equal(found, lines)
    assert not np.allclose(found[0], found[1])


def test_a_record_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    """The message names the row and the column."""
    model = _model(tmp_path, **{FIELDS: {"columns": ["income", "job"], "as_json": False}})
    with pytest.raises(InputError, match="row 1 lacks 'job'"):
        model.predict([{"income": 1, "job": "x"}, {"income": 1, "jobs": "x"}])
    with pytest.raises(TypeError, match="row 0 is a list, and this model reads records: give a dict with income, job"):
        model.predict([[1, "x"]])  # type: ignore[list-item]


@pytest.mark.parametrize("row", [{"text": "good"}, b"good", 3])
def test_a_model_of_texts_takes_texts_alone(tmp_path: Path, row: Any) -> None:
    """A dict would be answered with confidence and without sense, so it is refused with what to give."""
    with pytest.raises(TypeError, match=r"row 1 is a \w+, and this model reads texts: give each text as a str"):
        _model(tmp_path).predict(["good", row])


def test_one_row_is_no_list_of_rows(tmp_path: Path) -> None:
    """A text alone would be read letter by letter."""
    with pytest.raises(TypeError, match=r"write predict\(\[row\]\)"):
        _model(tmp_path).predict("good")
