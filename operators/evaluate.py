"""Gold labels beside what was predicted, counted on the test rows of a shard. The one operator that reads gold."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.annotate import annotations_path
from operators.confusion import Confusion
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.corpus.records import Fields
from operators.errors import InputError
from operators.posterior import Evidence, hard_labels, soft_labels
from operators.predict import predictions_path
from operators.rows import rows_path
from operators.schema import ABSTAIN, Counts
from operators.storage import folder_of, read_table
from operators.votes import VoteStore

METHODS = ("majority_vote", "label_model", "end_model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was counted against gold; a monoid.

    Attributes:
        confusions: of each of `METHODS`.
        voted: (m,) int64, test rows with gold on which a program votes.
        right: (m,) int64, those on which it votes the gold class.
        unlabeled: test rows without gold.
        baseline: of each of `METHODS` and of `annotator`, on the test rows with gold that the annotator labeled as a
            baseline; all on the same rows.
    """

    confusions: dict[str, Confusion]
    voted: Counts
    right: Counts
    unlabeled: int
    baseline: dict[str, Confusion]

    @classmethod
    def zero(cls, num_programs: int, num_classes: int) -> Judged:
        """Return the counts of no rows."""
        none = np.zeros(num_programs, np.int64)
        confusions = {method: Confusion.zero(num_classes) for method in METHODS}
        baseline = {method: Confusion.zero(num_classes) for method in (*METHODS, "annotator")}
        return cls(confusions=confusions, voted=none, right=none, unlabeled=0, baseline=baseline)

    def __add__(self, other: Judged) -> Judged:
        return Judged(
            confusions={method: self.confusions[method] + other.confusions[method] for method in METHODS},
            voted=self.voted + other.voted,
            right=self.right + other.right,
            unlabeled=self.unlabeled + other.unlabeled,
            baseline={method: self.baseline[method] + other.baseline[method] for method in self.baseline},
        )

    def to_bytes(self) -> bytes:
        """Write as JSON."""
        content = {
            "confusions": {name: b64encode(c.to_bytes()).decode() for name, c in self.confusions.items()},
            "voted": self.voted.tolist(),
            "right": self.right.tolist(),
            "unlabeled": self.unlabeled,
            "baseline": {name: b64encode(c.to_bytes()).decode() for name, c in self.baseline.items()},
        }
        return json.dumps(content).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Judged:
        """Read what `to_bytes` wrote."""
        content = json.loads(data)
        return cls(
            confusions={n: Confusion.from_bytes(b64decode(c)) for n, c in content["confusions"].items()},
            voted=np.array(content["voted"], np.int64),
            right=np.array(content["right"], np.int64),
            unlabeled=content["unlabeled"],
            baseline={n: Confusion.from_bytes(b64decode(c)) for n, c in content["baseline"].items()},
        )


class EvaluateShard:
    """Step: count the test rows of one shard against gold; writes nothing."""

    def __init__(
        self,
        *,
        folder: str,
        rows: str,
        text: str | Fields,
        id_column: str | None,
        gold: str,
        group: str | None,
        gold_index: Mapping[str, int],
        program_keys: Sequence[str],
        majority: Evidence,
        label_model: Evidence,
        predictions: str,
        annotations: str | None = None,
    ) -> None:
        self._folder = folder_of(folder)
        self._votes = VoteStore(self._folder)
        self._rows = rows
        self._text = text
        self._id = id_column
        self._gold = gold
        self._group = group
        self._gold_index = dict(gold_index)
        self._program_keys = tuple(program_keys)
        self._evidence = {"majority_vote": majority, "label_model": label_model}
        self._predictions = predictions
        self._annotations = annotations

    def __call__(self, item: str) -> bytes:
        """Count shard `item`; returns `Judged`.

        Raises:
            InputError: a gold label is no class of the task.
        """
        shard = Shard.from_json(item)
        is_test = read_table(rows_path(self._folder, shard.key, self._rows)).column("is_test").to_numpy()
        extra = [self._gold] if self._group is None else list(dict.fromkeys([self._gold, self._group]))
        table = read_shard(shard, text=self._text, id=self._id, extra=extra).filter(is_test)
        values, ids = table.column(self._gold).to_pylist(), table.column("id").to_pylist()
        gold = gold_indices(values, ids, shard, column=self._gold, index=self._gold_index)
        groups = None if self._group is None else [name_of(v) for v in table.column(self._group).to_pylist()]
        votes = self._votes.read(shard.key, self._program_keys)[0][is_test]
        path = predictions_path(self._folder, shard.key, self._predictions)
        predicted = read_table(path).filter(is_test)

        known = gold != ABSTAIN
        covered = (votes != ABSTAIN).any(axis=1)
        confusions = {}
        baseline = Judged.zero(len(self._program_keys), self._num_classes).baseline
        asked, said = self._asked(shard.key, is_test)
        compared = asked & known
        given = np.full((len(gold), self._num_classes), 1 / self._num_classes)
        given[said != ABSTAIN] = np.eye(self._num_classes)[said[said != ABSTAIN]]
        baseline["annotator"] = Confusion.of(gold[compared], said[compared], given[compared], said[compared] != ABSTAIN)
        for method in METHODS:
            if method == "end_model":
                soft = np.array(predicted.column("probabilities").to_pylist(), dtype=float)
                soft = soft.reshape(len(gold), -1) if len(gold) else np.zeros((0, self._num_classes))
                labels = predicted.column("label").to_numpy().astype(np.int8)
            else:
                soft = soft_labels(votes, self._evidence[method])
                labels, _ = hard_labels(soft, votes)
            confusions[method] = Confusion.of(
                gold[known],
                labels[known],
                soft[known],
                covered[known],
                groups=None if groups is None else [g for g, k in zip(groups, known, strict=True) if k],
            )
            baseline[method] = Confusion.of(gold[compared], labels[compared], soft[compared], covered[compared])
        cast = votes[known] != ABSTAIN
        return Judged(
            confusions=confusions,
            voted=cast.sum(axis=0, dtype=np.int64),
            right=(cast & (votes[known] == gold[known, None])).sum(axis=0, dtype=np.int64),
            unlabeled=int((~known).sum()),
            baseline=baseline,
        ).to_bytes()

    def _asked(
        self, shard_key: str, is_test: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int8]]:
        """Return which test rows the annotator labeled as a baseline, and its labels."""
        asked, said = np.zeros(len(is_test), dtype=bool), np.full(len(is_test), ABSTAIN, np.int8)
        if self._annotations is not None:
            table = read_table(annotations_path(self._folder, shard_key, self._annotations))
            rows = table.filter(table.column("is_baseline"))
            places = rows.column("place").to_numpy()
            asked[places], said[places] = True, rows.column("label").to_numpy()
        return asked[is_test], said[is_test]

    @property
    def _num_classes(self) -> int:
        return self._evidence["label_model"].num_classes


def gold_indices(
    values: Sequence[Any], ids: Sequence[Any], shard: Shard, *, column: str, index: Mapping[str, int]
) -> npt.NDArray[np.int64]:
    """Turn a gold column into classes, ABSTAIN where it is empty.

    Args:
        values: of the column.
        ids: of the rows, for messages.
        shard: likewise.
        column: its name.
        index: {accepted value as text: class}.

    Raises:
        InputError: a value is no class of the task.
    """
    indices = np.full(len(values), ABSTAIN, np.int64)
    for row, value in enumerate(values):
        name = name_of(value)
        if name is None or name == "":
            continue
        if name not in index:
            raise InputError(
                f"{shard.files()}: row {ids[row]!r} has {name!r} in the gold column {column!r}; expected one of "
                f"{list(index)}. Add it to `gold_values` of its class in the task file"
            )
        indices[row] = index[name]
    return indices


def name_of(value: Any) -> str | None:
    """Write a value of the gold or group column as text: 1, 1.0 and "1" are one label, NaN is none."""
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)
