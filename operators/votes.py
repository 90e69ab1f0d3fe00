"""The label matrix on disk: a column a program, a file for each shard and each set of programs that ran together.

A program's column is found by its key, which covers all that changes its votes, so editing one program out of ten
computes one column. The votes of a shard are put together from columns of the same shard in its row order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa

from operators.commit import commit, commit_table
from operators.errors import OperatorError
from operators.schema import Faults, Votes
from operators.storage import Folder, map_files, names_in, read_schema, read_table

_NOTES = b"notes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What the sandbox said while a set of programs ran over a shard; kept in the footer of the faults.

    Attributes:
        level: of the sandbox, 0..3.
        messages: {program key: message of its first fault}.
        quarantined: {program key: why}.
    """

    level: int
    messages: Mapping[str, str]
    quarantined: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class VoteStore:
    """Votes and faults below the folder of a run's shards.

    Attributes:
        folder: of the shards.
    """

    folder: Folder
    _known: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def declare(self, program_keys: Sequence[str]) -> str:
        """Write down which programs form a set, before any file of it; returns the name of the set."""
        name = set_name(program_keys)
        path = self.folder / "votes" / f"{name}.json"
        commit(path, lambda p: p.write_text(json.dumps(list(program_keys)), encoding="utf-8"))
        return name

    def write(self, shard_key: str, program_keys: Sequence[str], *, votes: Votes, faults: Faults, notes: Notes) -> None:
        """Commit the columns of a set on one shard; faults first, so that votes never stand without them.

        Args:
            shard_key: of the shard.
            program_keys: (m,) of the set, in the order of the columns.
            votes: (n, m) int8.
            faults: (n, m) uint8.
            notes: on this run of these programs.
        """
        name = set_name(program_keys)
        for kind, matrix in (("faults", faults), ("votes", votes)):
            columns = {key: np.ascontiguousarray(matrix[:, j]) for j, key in enumerate(program_keys)}
            table = pa.table(columns)
            if kind == "faults":
                table = table.replace_schema_metadata({_NOTES: json.dumps(asdict(notes))})
            commit_table(self.path(kind, shard_key, name), table)

    def path(self, kind: str, shard_key: str, name: str) -> Folder:
        """Where the file of a set and a shard stands; `kind` is "votes" or "faults"."""
        return self.folder / kind / f"{shard_key}-{name}.parquet"

    def sets(self, names: Collection[str] | None = None) -> dict[str, tuple[str, ...]]:
        """Return the declared sets, by name, each with its program keys.

        Args:
            names: what stands in `votes/`, where the caller has listed it.
        """
        folder = self.folder / "votes"
        declared = sorted(name for name in (names_in(folder) if names is None else names) if name.endswith(".json"))
        texts = map_files(lambda path: path.read_text(encoding="utf-8"), [folder / name for name in declared])
        sets = {name.removesuffix(".json"): tuple(json.loads(t)) for name, t in zip(declared, texts, strict=True)}
        self._known.update(sets)
        return sets

    def missing(self, shard_keys: Sequence[str], program_keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return for each shard that lacks votes the programs it lacks, in the order given."""
        present = names_in(self.folder / "votes")
        sets = self.sets(present)
        # After a power cut votes may be there whose faults are not.
        present &= names_in(self.folder / "faults")
        lacking = {}
        for shard_key in shard_keys:
            own = (keys for name, keys in sets.items() if f"{shard_key}-{name}.parquet" in present)
            have = {key for keys in own for key in keys}
            lack = tuple(key for key in program_keys if key not in have)
            if lack:
                lacking[shard_key] = lack
        return lacking

    def notes(self, shard_keys: Sequence[str], program_keys: Sequence[str]) -> Notes:
        """Join the notes of shards: the lowest level, and of each program what was said first in their order."""
        wanted, present = set(program_keys), names_in(self.folder / "faults")
        useful = [name for name, keys in self.sets().items() if not wanted.isdisjoint(keys)]
        paths = [self.path("faults", key, name) for key in shard_keys for name in useful]
        levels: list[int] = []
        messages: dict[str, str] = {}
        quarantined: dict[str, str] = {}
        for schema in map_files(read_schema, [path for path in paths if path.name in present]):
            notes = Notes(**json.loads(schema.metadata[_NOTES]))
            levels.append(notes.level)
            messages = {k: v for k, v in notes.messages.items() if k in wanted} | messages
            quarantined = {k: v for k, v in notes.quarantined.items() if k in wanted} | quarantined
        return Notes(level=min(levels, default=0), messages=messages, quarantined=quarantined)

    def read(self, shard_key: str, program_keys: Sequence[str]) -> tuple[Votes, Faults]:
        """Put the label matrix of a shard together.

        Returns:
            votes (n, m) int8 and faults (n, m) uint8, columns in the order of `program_keys`.

        Raises:
            OperatorError: a column is not there; the stage that writes it has not run.
        """
        # Sets are declared before a stage starts, so the worker's store lists them once; looked up again on a miss.
        found = self._columns(shard_key, program_keys, self._known)
        if len(found) < len(set(program_keys)):
            found = self._columns(shard_key, program_keys, self.sets())
        left = [key for key in program_keys if key not in found]
        if left:
            raise OperatorError(f"shard {shard_key} has no votes of program {left[0]}; run `alchemist apply`")
        columns = [found[key] for key in program_keys]
        return (
            np.column_stack([votes.to_numpy() for votes, _ in columns]).astype(np.int8, copy=False),
            np.column_stack([faults.to_numpy() for _, faults in columns]).astype(np.uint8, copy=False),
        )

    def _columns(
        self, shard_key: str, program_keys: Sequence[str], sets: Mapping[str, Sequence[str]]
    ) -> dict[str, tuple[pa.ChunkedArray, pa.ChunkedArray]]:
        """Read votes and faults of a shard by program key, those that are there."""
        asked = set(program_keys)
        found: dict[str, tuple[pa.ChunkedArray, pa.ChunkedArray]] = {}
        for name, keys in sorted(sets.items()):
            wanted = [key for key in keys if key in asked and key not in found]
            if not wanted:
                continue
            try:
                votes = read_table(self.path("votes", shard_key, name), wanted)
            except FileNotFoundError:
                continue  # These programs ran over other shards together, and over this one with others.
            faults = read_table(self.path("faults", shard_key, name), wanted)
            found |= {key: (votes.column(key), faults.column(key)) for key in wanted}
        return found


def set_name(program_keys: Sequence[str]) -> str:
    """Name a set of programs; the order does not matter."""
    return hashlib.sha256("\n".join(sorted(program_keys)).encode()).hexdigest()[:16]
