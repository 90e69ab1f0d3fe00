"""Texts encoded apart from rows: the same scores as of the featurizer itself, and vectors that are checked."""

from __future__ import annotations

import json

import numpy as np
import pytest

from operators.errors import InputError
from operators.featurizer import FeaturizerSpec
from operators.texts import EncodeTexts, encoded

LENGTHS = """
import numpy as np

class Lengths:
    num_features = 2

    def __init__(self, width=2):
        self.width = width

    def prepare(self, data):
        return data

    def embed(self, rows):
        return np.ones((len(rows), 2), np.float32)

    def encode_texts(self, texts):
        return np.array([[len(text)] * self.width for text in texts], np.float32)

    def scores(self, embeddings, texts):
        return embeddings @ self.encode_texts(texts).T
"""


@pytest.fixture
def lengths(tmp_path, monkeypatch):
    """The import path of a featurizer whose scores are products."""
    (tmp_path / "lengths_featurizer.py").write_text(LENGTHS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "lengths_featurizer:Lengths"


def test_scores_are_those_of_the_featurizer(lengths):
    """For any of the texts, in any order, more than once too."""
    spec = FeaturizerSpec(use=lengths)
    assert spec.encodes_texts
    texts = ["an ant", "a bee", "a butterfly"]
    found = encoded(spec, texts, EncodeTexts(featurizer=spec)(json.dumps(texts)))
    rows = np.array([[1, 2], [0.5, 0]], np.float32)
    asked = ["a bee", "an ant", "a bee"]
    assert np.array_equal(found.make().scores(rows, asked), spec.make().scores(rows, asked))


def test_vectors_of_another_width_are_refused(lengths):
    """They could not be multiplied with embeddings."""
    with pytest.raises(InputError, match=r"shape \(1, 3\), expected .* \(1, 2\)"):
        EncodeTexts(featurizer=FeaturizerSpec(use=lengths, options={"width": 3}))('["an ant"]')


def test_a_featurizer_without_it_scores_itself():
    """The door of four members stays as it is."""
    assert not FeaturizerSpec(use="operators.images:UnreadableRow").encodes_texts
    assert FeaturizerSpec(use="operators.images:UnreadableRow").memory_bytes() is None
