"""Items through a step on the cluster, watched: checked for room before, counted and shown while they run."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cluster.capacity import Demand, check_room, situation
from cluster.errors import ClusterError
from cluster.metrics import StageMeter
from cluster.session import Session
from engine.store import StageStatus
from operators.corpus.plan import Shard
from operators.stream import WORKER_CPUS, run_shards
from operators.trouble import About

logger = logging.getLogger(__name__)

_SHARDS_AN_ACTOR = 2
"""With fewer, an actor costs more to start than it brings."""

_SHARDS_FOR_ONE_MORE = 8
"""A core. With so many, one more remote call than cores pays: it computes while another waits for the disk, which was
a tenth of the time of ten short programs."""

_ENCODED_TEXT_S, _TEXT_S = 2.0, 0.01
"""A text takes an encoder up to some seconds on a CPU, and n-grams a millisecond."""


class Watch(Protocol):
    """Whoever shows the progress of a run."""

    def begin(self, stage: str, total: int, *, rows: int | None = None) -> None:
        """Announce a stage of `total` steps: shards, or requests for synthesis; with the rows in them, if known."""

    def advance(self, stage: str, *, rows: int = 0, num_bytes: int = 0) -> None:
        """One more step is done, of so many rows and bytes where it has any."""

    def end(self, stage: str, status: StageStatus, seconds: float, rows: int | None, *, reason: str = "") -> None:
        """Report the end of a stage, and why it was computed."""


class Silent:
    """Watches nothing; what a program that calls `run` gets unless it asks for more."""

    def begin(self, stage: str, total: int, *, rows: int | None = None) -> None:
        """Nothing."""

    def advance(self, stage: str, *, rows: int = 0, num_bytes: int = 0) -> None:
        """Nothing."""

    def end(self, stage: str, status: StageStatus, seconds: float, rows: int | None, *, reason: str = "") -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How the items of one stage are run and shown.

    Attributes:
        stage: its name.
        run: name of the run directory.
        watch: told about progress.
        session: the cluster.
        shards: by key, to tell what an item is; an item that is no shard is counted and nothing else.
    """

    stage: str
    run: str
    watch: Watch
    session: Session
    shards: Mapping[str, Shard]

    def __call__(
        self,
        items: Sequence[str],
        step: type,
        *,
        step_args: Mapping[str, Any],
        num_actors: int,
        patience_s: float,
        memory_bytes: int | None = None,
        stateful: bool = True,
        num_gpus: float = 0.0,
    ) -> Iterator[bytes]:
        """Run a step over items; see `operators.stream.run_shards`.

        Raises:
            ClusterError: the cluster can never place a worker.
        """
        known = [shard for shard in map(self._shard, items) if shard is not None]
        # A cluster may grow meanwhile. An actor then takes a whole CPU, lest growing put two on each.
        num_cpus = WORKER_CPUS if self.session.local else 1.0
        most_actors = num_actors if self.session.local else max(num_actors, len(items) // _SHARDS_AN_ACTOR)
        try:
            wait = check_room(Demand(num_cpus=num_cpus, memory_bytes=memory_bytes), fixed=self.session.local)
        except ClusterError as error:
            raise ClusterError(f"{self.stage}: {error}") from error
        if wait is not None:
            logger.warning("%s: %s; waiting for at most %.0f s", self.stage, wait, patience_s)
        meter = StageMeter(stage=self.stage, run=self.run, num_shards=len(known)) if known else None
        self.watch.begin(self.stage, len(items), rows=sum(shard.num_rows for shard in known) or None)

        def done(item: str, seconds: float) -> None:
            shard = self._shard(item)
            if meter is not None and shard is not None:
                meter.done(rows=shard.num_rows, seconds=seconds)
            rows, num_bytes = (0, 0) if shard is None else (shard.num_rows, shard.num_bytes)
            self.watch.advance(self.stage, rows=rows, num_bytes=num_bytes)

        yield from run_shards(
            items,
            step,
            step_args=dict(step_args),
            num_actors=num_actors,
            most_actors=most_actors,
            num_cpus=num_cpus,
            stateful=stateful,
            memory=memory_bytes,
            num_gpus=num_gpus,
            no_progress_timeout_s=patience_s,
            on_done=done,
            about=About(stage=self.stage, name_of=self._name, situation=situation),
        )

    def _shard(self, item: str) -> Shard | None:
        """Find the shard that an item is: its key, or the whole of it as JSON."""
        return self.shards.get(json.loads(item)["key"] if item.startswith("{") else item)

    def _name(self, item: str) -> str:
        shard = self._shard(item)
        if shard is None:
            return f"part {item}"
        pieces = [f"{p.path} rows {p.first_row} to {p.first_row + p.num_rows - 1}" for p in shard.pieces[:2]]
        more = f" and {len(shard.pieces) - 2} more pieces" if len(shard.pieces) > 2 else ""
        return f"shard {shard.key} ({', '.join(pieces)}{more})"


def num_actors(num_cpus: int, num_items: int) -> int:
    """Return how many actors a stage gets: one a CPU, and none that starts for a single shard where others have few."""
    return max(1, min(num_cpus, num_items // _SHARDS_AN_ACTOR))


def num_network_actors(session: Session, num_items: int) -> int:
    """Return how many actors a stage gets whose step computes a network: one a GPU, or `num_actors` without any."""
    return min(session.num_gpus, num_items) if session.num_gpus else num_actors(session.num_cpus, num_items)


def num_calls(session: Session, num_items: int) -> int:
    """Return how many remote calls of a stage without actors go on at a time; `num_actors`, or one more."""
    actors = num_actors(session.num_cpus, num_items)
    return actors + (session.local and num_items >= _SHARDS_FOR_ONE_MORE * session.num_cpus)


def within_memory(session: Session, actors: int, memory_bytes: int) -> tuple[int, int, str]:
    """Bring a number of actors and the memory that each states to what the nodes have.

    Returns:
        both, and as a sentence what is wrong where not one fits; one actor is tried there all the same.
    """
    room = session.room_for(memory_bytes)
    if room:
        return min(actors, room), memory_bytes, ""
    largest = max(session.node_memory_bytes)
    trouble = (
        f"an actor may need {memory_bytes >> 20} MB, and the largest node lends {largest >> 20} MB; it runs there all "
        "the same, one actor alone. Use a node with more memory, or lower what an actor needs (`sandbox.memory_bytes` "
        "for programs, a smaller model for images)"
    )
    return 1, largest, trouble


def cores_an_actor(session: Session, num_items: int, memory_bytes: int | None = None) -> int:
    """Return how many cores of this machine each actor of a stage has to itself; 1 on a cluster."""
    if not session.local:
        return 1
    actors = num_actors(session.num_cpus, num_items)
    if memory_bytes is not None:
        actors, *_ = within_memory(session, actors, memory_bytes)
    return max(1, session.num_cpus // actors)


def num_threads(session: Session, num_items: int, memory_bytes: int | None = None) -> int:
    """Return how many threads each actor may compute with; one where a GPU computes."""
    return 1 if session.num_gpus else cores_an_actor(session, num_items, memory_bytes)


def num_decoders(session: Session, num_items: int, memory_bytes: int | None = None) -> int:
    """Return how many cores each actor may decode images with: those that there are for a GPU, or its own."""
    if session.num_gpus:
        return max(1, session.num_cpus // session.num_gpus)
    return cores_an_actor(session, num_items, memory_bytes)


def slowest_texts_s(shards: Iterable[Shard], *, encoded: bool) -> float:
    """Return how many seconds the largest of some shards may rightly take; `encoded` texts pass through an encoder."""
    return max((shard.num_rows for shard in shards), default=0) * (_ENCODED_TEXT_S if encoded else _TEXT_S)
