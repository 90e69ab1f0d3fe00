"""Which rows of a shard are ranked for the annotator."""

from __future__ import annotations

import numpy as np

from operators.annotate import _chance, _first
from operators.schema import Floats


def test_chance_is_the_same_in_any_process_and_another_for_another_shard() -> None:
    """A run that goes on elsewhere picks the same rows."""
    assert _chance("a", 3).tolist() == _chance("a", 3).tolist() != _chance("b", 3).tolist()
    assert 0 <= _chance("a", 1000).min() < _chance("a", 1000).max() < 1


def test_the_smallest_ranks_are_kept_in_their_places() -> None:
    """The others are infinite, and so are those that were never wanted."""
    ranks: Floats = np.array([0.5, np.inf, 0.1, 0.9])
    assert _first(ranks, 2).tolist() == [0.5, np.inf, 0.1, np.inf]
    assert _first(ranks, 9).tolist() == [0.5, np.inf, 0.1, 0.9]
    assert np.isinf(_first(ranks, 0)).all()
