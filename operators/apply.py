"""Programs over the rows of a shard: read, vote in the sandbox, commit votes, faults and counts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.corpus.records import Fields
from operators.counts import CountShard
from operators.sandbox.pool import Limits, Sandbox
from operators.storage import folder_of
from operators.votes import Notes, VoteStore

_ACTOR_BYTES = 384 << 20
"""Of an actor itself: interpreter, Arrow and a shard of a few megabytes in three forms; 250 MB were seen."""

_WORKER_BYTES = 16 << 20
"""Of a worker besides what its program may take: its own copy of the interpreter's data and a decoded batch."""


def actor_memory_bytes(limits: Limits, *, num_programs: int) -> int:
    """What an actor takes at worst, when all programs under way use all that they may."""
    workers = min(limits.inflight, -(-num_programs // limits.group_size))
    return _ACTOR_BYTES + workers * (limits.memory_bytes + _WORKER_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of one shard, besides its files.

    Attributes:
        rows: n.
        seconds: wall time of the programs in the sandbox.
    """

    rows: int
    seconds: float

    def to_bytes(self) -> bytes:
        """Write as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Applied:
        """Read what `to_bytes` wrote."""
        return cls(**json.loads(data))


class ApplyShard:
    """Step: let a set of programs vote on one shard.

    The sandbox is started with the actor; its workers are fresh for each shard, with a seed from the shard's key.
    """

    def __init__(
        self,
        *,
        folder: str,
        rows: str,
        text: str | Fields,
        id_column: str | None,
        sources: Sequence[str],
        program_keys: Sequence[str],
        all_keys: Sequence[str],
        num_classes: int,
        limits: Limits,
    ) -> None:
        # Counted in the same pass: the shard's other columns are there, and a second pass would start actors anew.
        self._count = CountShard(folder=folder, rows=rows, program_keys=all_keys, num_classes=num_classes)
        self._store = VoteStore(folder_of(folder))
        self._text = text
        self._id = id_column
        self._program_keys = tuple(program_keys)
        self._sandbox = Sandbox(sources, num_classes=num_classes, limits=limits)

    def __call__(self, item: str) -> bytes:
        """Label one shard; returns `Applied`.

        Raises:
            SandboxError: the sandbox itself failed.
            InputError: the shard cannot be read.
        """
        shard = Shard.from_json(item)
        table = read_shard(shard, text=self._text, id=self._id)
        start = time.perf_counter()
        outcome = self._sandbox.run(table.column("text").combine_chunks(), seed=int(shard.key, 16) % 2**32)
        seconds = time.perf_counter() - start
        notes = Notes(
            level=self._sandbox.level,
            messages=self._named(outcome.messages),
            quarantined=self._named(outcome.quarantined),
        )
        self._store.write(shard.key, self._program_keys, votes=outcome.votes, faults=outcome.faults, notes=notes)
        self._count(shard.key)
        return Applied(rows=table.num_rows, seconds=seconds).to_bytes()

    def close(self) -> None:
        """End the sandbox."""
        self._sandbox.close()

    def _named(self, values: Sequence[str | None]) -> dict[str, str]:
        return {k: value for k, value in zip(self._program_keys, values, strict=True) if value is not None}
