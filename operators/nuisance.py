"""Answers beside a column that they should not follow, counted row by row over the corpus; gold is not read.

The column is the user's word for what is in a row without being the class, such as the background of a photograph. No
program, prompt or model is given it: it is read here, after all of them have answered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.corpus.records import Fields
from operators.errors import InputError
from operators.evaluate import name_of
from operators.label import labels_path
from operators.predict import predictions_path
from operators.schema import Counts
from operators.storage import folder_of, read_table
from operators.votes import VoteStore

MAX_VALUES = 100
"""More values than this are no attribute of rows but numbers or ids, and each would hold few rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crossed:
    """Rows by value of the column and answer; a monoid.

    Attributes:
        counts: {value: (m + 2, k + 1) int64}: rows by the answer of each program, then of the labels, then of the
            distilled model; the last answer is none. Rows without a value are left out.
    """

    counts: Mapping[str, Counts]

    def __add__(self, other: Crossed) -> Crossed:
        names = _few(sorted({*self.counts, *other.counts}))
        parts = {name: [part.counts[name] for part in (self, other) if name in part.counts] for name in names}
        return Crossed(counts={name: np.sum(tables, axis=0) for name, tables in parts.items()})

    def to_json(self) -> dict[str, list[list[int]]]:
        """Return plain lists."""
        return {name: table.tolist() for name, table in self.counts.items()}

    @classmethod
    def from_json(cls, text: str | bytes) -> Crossed:
        """Read what `to_json` returned, written as JSON."""
        return cls(counts={name: np.array(table, np.int64) for name, table in json.loads(text).items()})


class NuisanceShard:
    """Step: count the rows of one shard by the column and by each answer; writes nothing."""

    def __init__(
        self,
        *,
        folder: str,
        text: str | Fields,
        id_column: str | None,
        column: str,
        num_classes: int,
        program_keys: Sequence[str],
        labels: str,
        predictions: str,
    ) -> None:
        self._folder = folder_of(folder)
        self._votes = VoteStore(self._folder)
        self._text = text
        self._id = id_column
        self._column = column
        self._num_classes = num_classes
        self._program_keys = tuple(program_keys)
        self._labels = labels
        self._predictions = predictions

    def __call__(self, item: str) -> bytes:
        """Count shard `item`, a Shard as JSON; returns `Crossed` as JSON.

        Raises:
            InputError: the shard cannot be read, or the column holds too many values.
        """
        shard = Shard.from_json(item)
        table = read_shard(shard, text=self._text, id=self._id, extra=[self._column])
        values = [name_of(value) for value in table.column(self._column).to_pylist()]
        paths = (
            labels_path(self._folder, shard.key, self._labels),
            predictions_path(self._folder, shard.key, self._predictions),
        )
        others = [read_table(path, ["label"]).column("label").to_numpy() for path in paths]
        votes = self._votes.read(shard.key, self._program_keys)[0]
        answers = np.column_stack([votes, *others]).astype(np.int64)
        return json.dumps(crossed(values, answers, self._num_classes).to_json()).encode()


def crossed(values: Sequence[str | None], answers: npt.NDArray[np.int64], num_classes: int) -> Crossed:
    """Count one block.

    Args:
        values: (n,) of the column, None where a row has none.
        answers: (n, a), each ABSTAIN or in 0..num_classes-1.
        num_classes: k.

    Raises:
        InputError: there are more than `MAX_VALUES` values.
    """
    names = _few(sorted({value for value in values if value is not None}))
    index = {name: number for number, name in enumerate(names)}
    known = np.array([value is not None for value in values], bool)
    place = np.array([index[value] for value in values if value is not None], np.int64)
    width = num_classes + 1
    # ABSTAIN is -1 and so counts in the last place.
    cells = place[:, None] * width + answers[known] % width
    tables = np.stack([np.bincount(column, minlength=len(names) * width) for column in cells.T])
    tables = tables.reshape(answers.shape[1], len(names), width)
    return Crossed(counts={name: tables[:, number] for name, number in index.items()})


def _few(names: list[str]) -> list[str]:
    if len(names) > MAX_VALUES:
        raise InputError(
            f"`columns.nuisance` holds more than {MAX_VALUES} values, such as {names[0]!r}; expected an attribute of "
            "few values. Put numbers into ranges first, or name another column"
        )
    return names
