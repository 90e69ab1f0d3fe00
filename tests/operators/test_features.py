"""The same text has the same features in any process, and rows have length 1."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from operators.features import (
    FeatureSpec,
    Featurizer,
    document_frequencies,
    weighted,
)
from operators.ngrams import NUM_LOOKS

TEXTS = ["good good film", "a bad film", "", None, "ein schöner Film – 好看"]


def _features(**options: object) -> object:
    return Featurizer(FeatureSpec(num_features_log2=12, **options)).transform(TEXTS)  # type: ignore[arg-type]


def test_rows_have_length_one_and_empty_texts_none() -> None:
    """Every text with a word has features of length 1; null and empty texts have none."""
    lengths = np.sqrt(np.asarray(_features().power(2).sum(axis=1))).ravel()  # type: ignore[attr-defined]
    assert lengths.tolist() == pytest.approx([1, 1, 0, 0, 1])


def test_counts_enter_by_their_logarithm() -> None:
    """A word that stands twice weighs 1 + log 2 times a word that stands once."""
    row = Featurizer(FeatureSpec(num_features_log2=12, max_ngram=1)).transform(["good good film"])[:, : 2**12]
    assert max(row.data) / min(row.data) == pytest.approx(1 + np.log(2))


def test_longer_ngrams_add_features() -> None:
    """Bigrams come on top of words: three words in a row have two."""
    one, two = (
        Featurizer(FeatureSpec(num_features_log2=16, max_ngram=n)).transform(["what lovely music"])[:, : 2**16]
        for n in (1, 2)
    )
    assert (one.nnz, two.nnz) == (3, 5)


@pytest.mark.slow
def test_another_process_makes_the_same_features() -> None:
    """Python's own hash seed does not matter."""
    code = (
        "from operators.features import *; f = Featurizer(FeatureSpec(num_features_log2=12)).transform(['good film']);"
        "print(f.indices.tolist(), f.data.tolist())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_frequencies_add_up_over_blocks() -> None:
    """Rows counted in two blocks give the same integers as in one."""
    features = _features()
    blocks = [features[:2], features[2:]]  # type: ignore[index]
    total = sum(document_frequencies(block) for block in blocks)
    assert np.array_equal(total, document_frequencies(features))


def test_weighing_keeps_rows_at_length_one() -> None:
    """Weights move a row's direction, not its length, and leave the input alone."""
    features = _features()
    before = features.data.copy()  # type: ignore[attr-defined]
    scales = np.linspace(1, 3, 2**12 + NUM_LOOKS)
    lengths = np.sqrt(np.asarray(weighted(features, scales).power(2).sum(axis=1))).ravel()
    assert lengths.tolist() == pytest.approx([1, 1, 0, 0, 1])
    assert np.array_equal(features.data, before)  # type: ignore[attr-defined]


def test_no_texts_give_no_rows() -> None:
    """An empty block has the right width."""
    assert Featurizer(FeatureSpec(num_features_log2=12)).transform([]).shape == (0, 2**12 + NUM_LOOKS)


def test_an_encoder_goes_with_its_kind() -> None:
    """A spec that names an encoder and hashes is refused."""
    with pytest.raises(ValueError, match="encoder"):
        FeatureSpec(encoder="folder")
