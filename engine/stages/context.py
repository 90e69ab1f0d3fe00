"""What every stage is given: the task, the run directory, the cluster when it is needed, and who watches.

A stage that finds its results in place never asks for the cluster, so that a run with nothing to do does not
start Ray.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from cluster.session import Session, connect
from engine.store import RunDirectory, StageRecord, StageStatus
from engine.task import LabelingTask
from operators.stream import run_shards

logger = logging.getLogger(__name__)

_SHARDS_AN_ACTOR = 2
"""With fewer, an actor costs more to start than it brings."""

_LOCAL_CPUS = 0.5
"""Of an actor on this machine, so that a pool of one a core leaves Ray Data some to run with."""

_PATIENCE_S = 300.0
"""Without progress for so long, a stage whose items are quick is stuck."""


class Watch(Protocol):
    """Whoever shows the progress of a run."""

    def begin(self, stage: str, total: int) -> None:
        """Announce a stage of `total` steps: shards, or requests for synthesis."""

    def advance(self, stage: str) -> None:
        """One more step is done."""

    def end(self, stage: str, status: StageStatus, seconds: float, rows: int | None) -> None:
        """Report the end of a stage."""


class Silent:
    """Watches nothing; what a program that calls `run` gets unless it asks for more."""

    def begin(self, stage: str, total: int) -> None:
        """Nothing."""

    def advance(self, stage: str) -> None:
        """Nothing."""

    def end(self, stage: str, status: StageStatus, seconds: float, rows: int | None) -> None:
        """Nothing."""


@dataclass(slots=True, kw_only=True)
class Context:
    """One run in progress.

    Attributes:
        task: what to label.
        run: where results go.
        address: of a Ray cluster; None for this machine.
        watch: told about progress.
        statuses: {stage: computed or reused}, in the order the stages ended.
        warnings: what the user must know and the report repeats.
        versions: of what may change a result; noted when something is computed.
    """

    task: LabelingTask
    run: RunDirectory
    address: str | None
    watch: Watch
    stack: ExitStack
    statuses: dict[str, StageStatus] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    versions: Mapping[str, str] = field(default_factory=dict)
    _session: Session | None = None

    def session(self) -> Session:
        """Connect to Ray with the first call."""
        if self._session is None:
            self._session = self.stack.enter_context(connect(self.address))
        return self._session

    def stream(
        self,
        stage: str,
        items: Sequence[str],
        step: type,
        *,
        step_args: Mapping[str, Any],
        slowest_item_s: float = 0.0,
        memory_bytes: int | None = None,
        stateful: bool = False,
    ) -> Iterator[bytes]:
        """Run a step over items on the cluster, and show how far it is.

        Args:
            stage: whose progress this is.
            items: what the step is called with.
            step: see `run_shards`.
            step_args: likewise.
            slowest_item_s: the longest that one item may rightly take; no progress is a fault only after that.
            memory_bytes: that an actor may need at worst; Ray places no more actors than fit.
            stateful: whether the step needs an actor of its own; see `run_shards`.
        """
        if not items:
            return
        # As it is now: the cluster may have grown or shrunk since the stage before.
        session = self.session().now()
        actors = num_actors(session.num_cpus, len(items))
        if memory_bytes is not None:
            actors, memory_bytes = self._fitting(stage, session, actors, memory_bytes)
        self.watch.begin(stage, len(items))
        patience = max(_PATIENCE_S, slowest_item_s)
        for result in run_shards(
            items,
            step,
            step_args=dict(step_args),
            num_actors=actors,
            # A cluster may grow meanwhile. An actor then takes a whole CPU, lest growing put two on each.
            most_actors=actors if session.local else max(actors, len(items) // _SHARDS_AN_ACTOR),
            num_cpus=_LOCAL_CPUS if session.local else 1.0,
            stateful=stateful,
            memory=memory_bytes,
            no_progress_timeout_s=patience,
        ):
            self.watch.advance(stage)
            yield result

    def _fitting(self, stage: str, session: Session, actors: int, memory_bytes: int) -> tuple[int, int]:
        """Bring actors and the memory that each states to what the nodes have."""
        room = session.room_for(memory_bytes)
        if room:
            return min(actors, room), memory_bytes
        largest = max(session.node_memory_bytes)
        self.warn(
            f"{stage}: an actor may need {memory_bytes >> 20} MB, and the largest node lends {largest >> 20} MB; it "
            "runs there all the same, one actor alone. Lower `sandbox.memory_bytes`, or use a node with more memory"
        )
        return 1, largest

    def reuse(self, stage: str, digest: str, *, complete: bool = True) -> StageRecord | None:
        """Return the record of a stage if it stands for these inputs, and say so; else forget it and return None.

        Args:
            stage: its name.
            digest: of all that changes its result.
            complete: whether its files are all there.
        """
        record = self.run.record(stage)
        if record is None or record.digest != digest or not complete:
            self.run.forget(stage)
            return None
        self.statuses[stage] = "reused"
        logger.info("%s: nothing changed, reused", stage)
        self.watch.end(stage, "reused", record.seconds, record.rows)
        return record

    def finish(self, stage: str, *, digest: str, since: float, rows: int | None, result: dict[str, Any]) -> StageRecord:
        """Write down a stage that was computed.

        Args:
            stage: its name.
            digest: of all that changes its result.
            since: `time.perf_counter()` at its start.
            rows: how many it went over in this sitting.
            result: JSON values for later stages.
        """
        seconds = time.perf_counter() - since
        record = StageRecord(digest=digest, seconds=seconds, rows=rows, result=result)
        self.run.note(versions=dict(self.versions))
        self.run.put(stage, record)
        self.statuses[stage] = "computed"
        logger.info("%s: %s rows in %.1f s", stage, "no" if rows is None else rows, seconds)
        self.watch.end(stage, "computed", seconds, rows)
        return record

    def warn(self, message: str) -> None:
        """Tell the user now and in the report."""
        logger.warning("%s", message)
        self.warnings.append(message)


def num_actors(num_cpus: int, num_items: int) -> int:
    """Return how many actors a stage gets: one a CPU, and none that starts for a single shard where others have few."""
    return max(1, min(num_cpus, num_items // _SHARDS_AN_ACTOR))
