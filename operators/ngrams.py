"""Hashed n-grams of words, marks and characters, and the looks of a text.

Programs often look at what words alone do not show: links, exclamation marks, long numbers, capitals, length. A model
that learns from them must see it too, so marks are words here, and a handful of counts in coarse steps stands beside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

_TOKEN = r"(?u)\w+|[^\w\s]+"
"""A word of any length, or marks in a row."""

_DIGIT = re.compile(r"\d")
_FLAGS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"https?:|www\.|\.com\b|\.[a-z]{2,3}/",  # a link
        r"\d{5,}",  # a number to call, or an id
        r"[$£€]\s?\d",  # money
    )
)
_SIZES = (40, 40, 8, 6, 5, 4, len(_FLAGS))
"""Steps of: characters, words, digits, share of capitals, exclamation marks, question marks; and the flags."""

NUM_LOOKS = 128
"""Places for the looks of a text, some of them kept free."""

_FIRST = np.cumsum((0, *_SIZES[:-1]))


class Ngrams:
    """Counts of hashed n-grams, by their logarithm.

    Attributes:
        num_features: d: words and their sequences, then the looks, then characters if any.
    """

    def __init__(self, *, num_buckets: int, max_ngram: int, max_char_ngram: int, char_window: int) -> None:
        """Set up the hashing; see `features.FeatureSpec`."""
        from sklearn.feature_extraction.text import HashingVectorizer

        # Without alternating signs: counts stay positive, and the logarithm below makes sense of them.
        options: dict[str, Any] = {
            "n_features": num_buckets,
            "alternate_sign": False,
            "norm": None,
            "dtype": np.float32,
        }
        words = HashingVectorizer(ngram_range=(1, max_ngram), token_pattern=_TOKEN, **options)
        self._parts: list[Any] = [lambda texts: _logarithm(words.transform(texts)), looks]
        self.num_features = num_buckets + NUM_LOOKS
        if max_char_ngram:
            shortest = min(3, max_char_ngram)
            chars = HashingVectorizer(ngram_range=(shortest, max_char_ngram), analyzer="char_wb", **options)
            self._parts.append(lambda texts: _logarithm(chars.transform([text[:char_window] for text in texts])))
            self.num_features += num_buckets

    def transform(self, texts: Sequence[str]) -> Any:
        """Return an (n, d) float32 CSR matrix.

        Nothing is brought to one length here, so that the few looks matter in a short text and little in a long one.
        """
        return sp.hstack([part(texts) for part in self._parts], format="csr", dtype=np.float32)


def looks(texts: Sequence[str]) -> Any:
    """Count what a text looks like, in coarse steps.

    Returns:
        (n, NUM_LOOKS) float32 CSR matrix of ones; a text without characters has none.
    """
    places = [_places(text) for text in texts]
    offsets = np.cumsum([0, *map(len, places)])
    indices = np.fromiter((place for row in places for place in row), np.int32, int(offsets[-1]))
    ones = np.ones(len(indices), np.float32)
    return sp.csr_matrix((ones, indices, offsets), shape=(len(texts), NUM_LOOKS))


def _places(text: str) -> list[int]:
    if not text:
        return []
    capitals = sum(map(str.isupper, text))
    steps = (
        int(2 * math.log2(len(text) + 1)),
        int(2 * math.log2(len(text.split()) + 1)),
        int(1.5 * math.log2(len(_DIGIT.findall(text)) + 1)),
        int(5 * capitals / len(text)),
        text.count("!"),
        text.count("?"),
    )
    found = [first + min(step, size - 1) for first, step, size in zip(_FIRST, steps, _SIZES, strict=False)]
    return [int(place) for place in found] + [int(_FIRST[-1]) + i for i, flag in enumerate(_FLAGS) if flag.search(text)]


def _logarithm(counts: Any) -> Any:
    counts.data = 1 + np.log(counts.data)
    return counts
