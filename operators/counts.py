"""What is counted over a shard's label matrix: moments and patterns for the label model, tallies for people.

Moments and patterns are of training rows alone; test rows are tallied apart, so that the report can describe both.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from operators.commit import commit
from operators.moments import Moments
from operators.patterns import Patterns
from operators.rows import rows_path
from operators.storage import Folder, folder_of, map_files, read_table
from operators.tally import Tally
from operators.votes import VoteStore

_FORMAT = "2"
"""Of the files; another is another name, so that files of an older kind are counted anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Moments, patterns and tallies of some rows; a monoid.

    Attributes:
        moments: of the training rows.
        patterns: of the training rows.
        train: tally of the training rows.
        test: tally of the test rows.
    """

    moments: Moments
    patterns: Patterns
    train: Tally
    test: Tally

    @classmethod
    def zero(cls, num_programs: int, num_classes: int) -> Counts:
        """Return the counts of no rows."""
        tally = Tally.zero(num_programs, num_classes)
        moments, patterns = Moments.zero(num_programs, num_classes), Patterns.zero(num_programs)
        return cls(moments=moments, patterns=patterns, train=tally, test=tally)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            moments=self.moments + other.moments,
            patterns=self.patterns + other.patterns,
            train=self.train + other.train,
            test=self.test + other.test,
        )

    def to_bytes(self) -> bytes:
        """Write as JSON with the parts in base 64."""
        parts = {
            "moments": self.moments.to_bytes(),
            "patterns": self.patterns.to_bytes(),
            "train": self.train.to_bytes(),
            "test": self.test.to_bytes(),
        }
        return json.dumps({name: b64encode(part).decode() for name, part in parts.items()}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Counts:
        """Read what `to_bytes` wrote."""
        parts = {name: b64decode(part) for name, part in json.loads(data).items()}
        return cls(
            moments=Moments.from_bytes(parts["moments"]),
            patterns=Patterns.from_bytes(parts["patterns"]),
            train=Tally.from_bytes(parts["train"]),
            test=Tally.from_bytes(parts["test"]),
        )


class CountShard:
    """Step: count one shard's label matrix and commit `counts/<shard>-<programs>.json`."""

    def __init__(self, *, folder: str, rows: str, program_keys: Sequence[str], num_classes: int) -> None:
        self._folder = folder_of(folder)
        self._votes = VoteStore(self._folder)
        self._rows = rows
        self._program_keys = tuple(program_keys)
        self._num_classes = num_classes

    def __call__(self, item: str) -> bytes:
        """Count shard `item`, a shard key; returns nothing, as the counts are in the file."""
        rows = read_table(rows_path(self._folder, item, self._rows), ["is_test"])
        is_test = rows.column("is_test").to_numpy()
        votes, faults = self._votes.read(item, self._program_keys)
        k = self._num_classes
        train = votes[~is_test]
        patterns = Patterns.of(train, k)
        counts = Counts(
            # Few programs give few distinct rows, over which the same sums take a fraction of the time.
            moments=Moments.of(patterns.votes, k, weights=patterns.counts)
            if patterns.complete
            else Moments.of(train, k),
            patterns=patterns,
            train=Tally.of(train, faults[~is_test], k),
            test=Tally.of(votes[is_test], faults[is_test], k),
        )
        data = counts.to_bytes()
        commit(
            counts_path(self._folder, item, rows=self._rows, program_keys=self._program_keys),
            lambda p: p.write_bytes(data) and None,
        )
        return b""


def counts_path(folder: Folder, shard_key: str, *, rows: str, program_keys: Sequence[str]) -> Folder:
    """Where the counts of a shard stand; the split and the order of the programs are part of the name."""
    name = hashlib.sha256("\n".join([_FORMAT, rows, *program_keys]).encode()).hexdigest()[:16]
    return folder / "counts" / f"{shard_key}-{name}.json"


def total(
    folder: Folder, shard_keys: Iterable[str], *, rows: str, program_keys: Sequence[str], num_classes: int
) -> Counts:
    """Add up the counts of shards that `CountShard` has counted."""
    counts = Counts.zero(len(program_keys), num_classes)
    paths = [counts_path(folder, shard_key, rows=rows, program_keys=program_keys) for shard_key in shard_keys]
    for data in map_files(lambda path: path.read_bytes(), paths):
        counts += Counts.from_bytes(data)
    return counts
