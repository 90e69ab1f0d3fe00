"""Marks, characters and the looks of a text are features, beside its words."""

from __future__ import annotations

import numpy as np
import pytest

from operators.features import FeatureSpec, Featurizer
from operators.ngrams import NUM_LOOKS, looks


def _same(one: str, other: str) -> bool:
    a, b = (looks([text]).toarray() for text in (one, other))
    return bool(np.array_equal(a, b))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("see my page", "www.me page"),
        ("call me today", "call 0800123"),
        ("it is free!!!", "it is free..."),
        ("what is this?", "what is this."),
        ("BUY THIS NOW", "buy this now"),
        ("short", "a text that is a good deal longer than the other one"),
        ("costs $5 now", "costs 55 now"),
    ],
)
def test_what_words_do_not_show_is_seen(one: str, other: str) -> None:
    """Links, long numbers, marks, capitals, length and money make a difference."""
    assert not _same(one, other)


def test_words_alone_make_no_difference() -> None:
    """Two texts of the same looks have the same."""
    assert _same("good film", "evil film")
    assert looks(["good film", ""]).shape == (2, NUM_LOOKS)
    assert looks([""]).nnz == 0


def test_a_very_long_text_stays_within_its_places() -> None:
    """Whatever is counted ends in the last step of its kind."""
    row = looks(["A! 1? " * 200_000])
    assert row.indices.max() < NUM_LOOKS
    assert len(set(row.indices.tolist())) == row.nnz


def test_marks_are_words() -> None:
    """A run of exclamation marks is a word of its own, and so is a single letter."""
    spec = FeatureSpec(num_features_log2=16, max_ngram=1)
    words = 2**16
    counts = [(Featurizer(spec).transform([text]).indices < words).sum() for text in ("u won", "u won !!!")]
    assert counts == [2, 3]


def test_characters_join_words_of_one_stem() -> None:
    """With characters, words that share their beginning share features; without, they share none."""
    spec = {"num_features_log2": 14, "max_ngram": 1}
    products = []
    for longest in (0, 4):
        features = Featurizer(FeatureSpec(**spec, max_char_ngram=longest)).transform(["wonderful", "wonderfully"])
        apart = features.tolil()
        apart[:, 2**14 : 2**14 + NUM_LOOKS] = 0
        apart = apart.tocsr()
        products.append(float((apart[0] @ apart[1].T).toarray()[0, 0]))
    assert products[0] == 0
    assert products[1] > 0.2
