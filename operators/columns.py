"""Columns of a table as features: values as they are, numbers in steps, words of longer texts.

A number is learned from as the step of its logarithm that it falls in, coarse and fine, so that a linear model can
bend; its size stands beside, for what lies beyond the steps that were seen. Like words, all of it is hashed into
buckets.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from operators.errors import InputError

Sparse = Any

_WORD = re.compile(r"\w+")
_STEPS = (1, 4)
"""Steps for each doubling of a number."""

_LONGEST = 64
"""Characters of a text up to which it is taken as a value, such as a category."""


class Columns:
    """Features of records.

    Attributes:
        num_features: buckets.

    Example:
        >>> Columns(num_buckets=64).transform(['{"job": "nurse", "debts": 3}']).shape
        (1, 64)
    """

    def __init__(self, *, num_buckets: int) -> None:
        self.num_features = num_buckets

    def transform(self, records: Sequence[str]) -> Sparse:
        """Featurize records.

        Args:
            records: n JSON objects; an empty text is a record without fields.

        Returns:
            (n, num_features) float32 CSR matrix.

        Raises:
            InputError: a text is no JSON object.
        """
        import scipy.sparse as sp

        indices: list[int] = []
        values: list[float] = []
        offsets = [0]
        for place, record in enumerate(records):
            for name, value in _read(record, place).items():
                for told, size in _features(value):
                    indices.append(_bucket(f"{name}\x1f{told}", self.num_features))
                    values.append(size)
            offsets.append(len(indices))
        shape = (len(records), self.num_features)
        found = sp.csr_matrix((np.array(values, np.float32), np.array(indices, np.int32), offsets), shape=shape)
        found.sum_duplicates()
        return found


def _read(record: str, place: int) -> dict[str, Any]:
    if not record:
        return {}
    try:
        found = json.loads(record)
    except ValueError as error:
        raise InputError(
            f"row {place} is no record in JSON ({error}); this model was distilled from columns: give it dicts, or a "
            'text such as {"age": 30, "city": "Ulm"}'
        ) from error
    if not isinstance(found, dict):
        raise InputError(f'row {place}: expected a record such as {{"age": 30}}, got {type(found).__name__}')
    return found


def _features(value: Any) -> Iterator[tuple[str, float]]:
    """Give what a value is learned from, each with its size."""
    if value is None:
        yield "missing", 1.0
    elif isinstance(value, bool):
        yield f"is {value}", 1.0
    elif isinstance(value, int | float):
        size = math.copysign(math.log2(1 + abs(value)), value)
        yield "size", size / 16
        for steps in _STEPS:
            yield f"step {steps} {math.floor(steps * size)}", 1.0
        if isinstance(value, int) and abs(value) < 32:
            yield f"is {value}", 1.0
    else:
        text = str(value).lower()
        if len(text) <= _LONGEST:
            yield f"is {text}", 1.0
        words = _WORD.findall(text)
        if len(words) > 1:
            for word in words:
                yield f"word {word}", len(words) ** -0.5


@lru_cache(maxsize=1 << 16)
def _bucket(told: str, num_buckets: int) -> int:
    # Python's own hash differs from process to process.
    return int.from_bytes(blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") % num_buckets
