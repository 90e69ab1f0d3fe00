"""What every stage is given: the task, the run directory, the cluster when it is needed, and who watches.

A stage that finds its results in place never asks for the cluster, so that a run with nothing to do does not
start Ray.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cluster.session import Session, connect
from engine.stages.inputs import Inputs, changes
from engine.stages.stream import Stream, Watch, num_actors, num_calls, num_network_actors, within_memory
from engine.store import RunDirectory, StageRecord, StageStatus
from engine.task import LabelingTask
from operators.corpus.plan import Shard

if TYPE_CHECKING:
    from engine.stages.thumbnails import ImageSource
    from engine.synthesis.concepts import Concepts

logger = logging.getLogger(__name__)

FIRST_TIME = "for the first time"
"""The end of the reason of a stage that was never computed before; there is nothing to wonder at."""

_PATIENCE_S = 300.0
"""Without progress for so long, a stage whose items are quick is stuck."""


@dataclass(slots=True, kw_only=True)
class Context:
    """One run in progress.

    Attributes:
        task: what to label.
        run: where results go.
        address: of a Ray cluster; None for this machine.
        watch: told about progress.
        shards: by key, once the corpus is planned; for telling what is under way.
        statuses: {stage: computed or reused}, in the order the stages ended.
        reasons: {stage: why it was computed and how much of it, or that it was reused}.
        warnings: what the user must know and the report repeats.
        versions: of what may change a result; noted when something is computed.
        images: behind scored rows; None for texts and records.
        concepts: that rows were scored by; None for texts and records.
        skipped: {path: why} of files of images that could not be planned and were left out.
    """

    task: LabelingTask
    run: RunDirectory
    address: str | None
    watch: Watch
    stack: ExitStack
    shards: Mapping[str, Shard] = field(default_factory=dict)
    statuses: dict[str, StageStatus] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    versions: Mapping[str, str] = field(default_factory=dict)
    images: ImageSource | None = None
    concepts: Concepts | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    _session: Session | None = None
    _causes: dict[str, list[str]] = field(default_factory=dict)
    _resumed: set[str] = field(default_factory=set)

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
        gpus: bool = False,
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
            gpus: whether each actor takes a GPU, where the cluster has any.
        """
        if not items:
            return
        # As it is now: the cluster may have grown or shrunk since the stage before.
        session = self.session().now()
        actors = num_actors(session.num_cpus, len(items)) if stateful else num_calls(session, len(items))
        on_gpus = gpus and session.num_gpus > 0
        if on_gpus:
            actors = num_network_actors(session, len(items))
        if memory_bytes is not None:
            actors, memory_bytes, trouble = within_memory(session, actors, memory_bytes)
            if trouble:
                self.warn(f"{stage}: {trouble}")
        stream = Stream(stage=stage, run=self.run.path.name, watch=self.watch, session=session, shards=self.shards)
        yield from stream(
            items,
            step,
            step_args=step_args,
            num_actors=actors,
            patience_s=max(_PATIENCE_S, slowest_item_s),
            memory_bytes=memory_bytes,
            stateful=stateful,
            num_gpus=float(on_gpus),
        )

    def reuse(self, inputs: Inputs, *, complete: bool = True, lacking: str = "") -> StageRecord | None:
        """Return the record of a stage if it stands for these inputs, and say so; else forget it and return None.

        Args:
            inputs: all that its result follows from.
            complete: whether its files are all there.
            lacking: what they lack where not; that some are gone, unless told.
        """
        stage, record = inputs.stage, self.run.record(inputs.stage)
        if record is None or record.digest != inputs.digest or not complete:
            self._causes[stage] = self._why(inputs, record, lacking or "files of it are gone")
            self.run.begin(stage, self._causes[stage])
            return None
        if record.inputs is None:
            # Of an earlier version; equal digests mean equal inputs, and the next run can tell what changed.
            record = replace(record, inputs=inputs.to_json())
            self.run.put(stage, record)
        self.statuses[stage], self.reasons[stage] = "reused", "reused"
        logger.info("%s: reused", stage)
        self.watch.end(stage, "reused", record.seconds, record.rows)
        return record

    def finish(
        self, inputs: Inputs, *, since: float, rows: int | None, result: dict[str, Any], scope: str = ""
    ) -> StageRecord:
        """Write down a stage that was computed.

        Args:
            inputs: as `reuse` was given them.
            since: `time.perf_counter()` at its start.
            rows: how many it went over in this sitting.
            result: JSON values for later stages.
            scope: how much of it was computed in this sitting, such as `2 of 62 shards`; the rest was there.
        """
        stage, seconds = inputs.stage, time.perf_counter() - since
        reason = self._reason(stage, scope)
        record = StageRecord(
            digest=inputs.digest, seconds=seconds, rows=rows, result=result, inputs=inputs.to_json(), reason=reason
        )
        self.run.note(versions=dict(self.versions))
        self.run.put(stage, record)
        self.statuses[stage], self.reasons[stage] = "computed", reason
        logger.info("%s: %s; %s rows in %.1f s", stage, reason, "no" if rows is None else rows, seconds)
        self.watch.end(stage, "computed", seconds, rows, reason=reason)
        return record

    def _why(self, inputs: Inputs, record: StageRecord | None, lacking: str) -> list[str]:
        """Say why a stage is computed; nothing where it never was before."""
        stage = inputs.stage
        if record is None:
            begun = self.run.begun(stage)
            if begun is not None:
                self._resumed.add(stage)
            return begun or []
        if record.digest == inputs.digest:
            return [lacking]
        return changes(record.inputs, inputs, reasons_of=lambda name: self._causes.get(name, ()))

    def _reason(self, stage: str, scope: str) -> str:
        causes = "; ".join(self._causes[stage])
        begun = ", begun by a run that did not finish it" if stage in self._resumed else ""
        if not causes:
            return f"computed {scope}".rstrip() + (begun or f" {FIRST_TIME}")
        return (f"computed {scope}: {causes}" if scope else f"computed, because {causes}") + begun

    def warn(self, message: str) -> None:
        """Tell the user now and in the report."""
        logger.warning("%s", message)
        self.warnings.append(message)
