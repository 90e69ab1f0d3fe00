"""Records become features, each field by itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

from operators.columns import Columns
from operators.errors import InputError
from operators.features import FeatureSpec, Featurizer


def transform(*records: object) -> np.ndarray:
    return np.asarray(Columns(num_buckets=2**14).transform([json.dumps(record) for record in records]).toarray())


def test_a_value_belongs_to_its_field() -> None:
    """The same word in two fields is two features, in any order of the fields."""
    a, b, c = transform({"x": "red", "y": "blue"}, {"x": "blue", "y": "red"}, {"y": "blue", "x": "red"})
    assert (a @ b, a @ c) == (0, 2)


def test_near_numbers_share_steps() -> None:
    """Close numbers have a coarse and a fine step in common, further ones the coarse, far ones none."""
    rows = transform({"x": 1000.0}, {"x": 1010.0}, {"x": 700.0}, {"x": 5.0}, {"x": -1000.0})
    shared = [int((row[rows[0] == 1] == 1).sum()) for row in rows]
    assert shared == [2, 2, 1, 0, 0]


def test_missing_is_not_zero_and_not_false() -> None:
    """Null, nought, false and an empty text are told apart."""
    rows = transform({"x": None}, {"x": 0}, {"x": False}, {"x": ""})
    places = [frozenset(np.flatnonzero(row).tolist()) for row in rows]
    assert len(set(places)) == 4
    assert all(places)


def test_words_of_a_text_are_features_beside_it() -> None:
    """Two texts with a word in common have one feature in common; the case of letters does not matter."""
    a, b, c = transform({"x": "nurse in town"}, {"x": "Nurse"}, {"x": "town NURSE"})
    assert (a * c > 0).sum() == 2
    assert (a * b > 0).sum() == 0


def test_what_is_no_record_is_refused() -> None:
    """A text that is no JSON object is an error that says what to give; an empty one is a record without fields."""
    columns = Columns(num_buckets=64)
    for text in ("plain words", "[1, 2]"):
        with pytest.raises(InputError, match="row 1"):
            columns.transform(["{}", text])
    assert columns.transform(["", "{}"]).nnz == 0


def test_the_columns_travel_with_the_spec() -> None:
    """What is written reads back, and a kind without columns is refused."""
    spec = FeatureSpec(kind="columns", columns=("a", "b"), num_features_log2=10)
    assert FeatureSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert Featurizer(spec).transform(['{"a": 1}', None]).shape == (2, 1024)
    with pytest.raises(ValueError, match="columns are named"):
        FeatureSpec(kind="columns")
