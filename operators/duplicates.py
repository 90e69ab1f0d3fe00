"""Ids that stand in more than one row, found without bringing the ids together.

Each remote call takes the ids of one residue class of their hash out of all shards, so that equal ids meet in one
place and memory is bounded by the number of classes, which grows with the corpus.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from operators.rows import rows_path
from operators.storage import folder_of, read_table

ROWS_A_CLASS = 2_000_000
"""16 MB of hashes and, for the few that collide, their ids."""


class FindDuplicateIds:
    """Step: find ids that stand twice among those of one residue class."""

    def __init__(self, *, folder: str, digest: str, shard_keys: Sequence[str], num_classes: int) -> None:
        self._folder = folder_of(folder)
        self._digest = digest
        self._shard_keys = tuple(shard_keys)
        self._num_classes = num_classes

    def __call__(self, item: str) -> bytes:
        """Look through residue class `item`.

        Returns:
            JSON: at most 5 ids with the shards they stand in, [] where all differ.
        """
        residue = int(item)
        own_class = [np.zeros(0, np.uint64)]
        for key in self._shard_keys:
            hashes = self._hashes(key)[1]
            own_class.append(hashes[hashes % np.uint64(self._num_classes) == residue])
        values, counts = np.unique(np.concatenate(own_class), return_counts=True)
        suspects = values[counts > 1]
        if not len(suspects):
            return b"[]"
        places: dict[str, list[str]] = {}
        for key in self._shard_keys:
            ids, own = self._hashes(key)
            for row in np.flatnonzero(np.isin(own, suspects)):
                places.setdefault(repr(ids[row]), []).append(key)
        twice = {name: keys for name, keys in places.items() if len(keys) > 1}
        return json.dumps(sorted(twice.items())[:5]).encode()

    def _hashes(self, key: str) -> tuple[list[object], npt.NDArray[np.uint64]]:
        column = read_table(rows_path(self._folder, key, self._digest), columns=["id"]).column("id")
        ids = column.to_pylist()
        # Fixed hash, no salt: the same id falls into the same class on every worker.
        return ids, pd.util.hash_array(np.array(ids, dtype=object), categorize=False)
