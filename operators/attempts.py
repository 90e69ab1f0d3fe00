"""Which items are under way and how often each was begun, in an actor that outlives the workers.

Ray does the item of a dead worker again, for ever if the item itself kills its worker: a worker that dies leaves no
word. So each says what it begins before it begins, to somebody who is not killed with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import ray

MOST_DEATHS = 4
"""Workers that an item may cost. More than one, since nodes are taken away and memory runs short without its fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of an execution.

    Attributes:
        workers: that have begun an item.
        under_way: {position of an item: (times it was begun, seconds since the last time)} of those not ended.
    """

    workers: int
    under_way: dict[int, tuple[int, float]]


@dataclass(slots=True)
class _Execution:
    workers: set[str] = field(default_factory=set)
    under_way: dict[int, tuple[int, float]] = field(default_factory=dict)


class Attempts:
    """Counts, by execution and position of the item."""

    def __init__(self) -> None:
        self._executions: dict[str, _Execution] = {}

    def begin(self, execution: str, position: int, worker: str) -> int:
        """Note that a worker begins an item; returns how often it has been begun without an end, this time too."""
        known = self._executions.setdefault(execution, _Execution())
        known.workers.add(worker)
        times = known.under_way.get(position, (0, 0.0))[0] + 1
        known.under_way[position] = (times, time.monotonic())
        return times

    def end(self, execution: str, position: int) -> None:
        """Note that an item was done; it may be begun again, if its result is lost with a node."""
        if execution in self._executions:
            self._executions[execution].under_way.pop(position, None)

    def seen(self, execution: str) -> Seen:
        """Return what is known of an execution."""
        known, now = self._executions.get(execution, _Execution()), time.monotonic()
        return Seen(
            workers=len(known.workers),
            under_way={position: (times, now - since) for position, (times, since) in known.under_way.items()},
        )

    def forget(self, execution: str) -> None:
        """Drop an execution that is over."""
        self._executions.pop(execution, None)


_of_cluster: dict[str, Any] = {}
"""{job: handle}; of the cluster that this process is connected to alone."""


def attempts() -> Any:
    """Return the handle of the actor that counts for this process, made with the first call.

    It takes no CPU, and a node that dies with it costs the counts alone: it starts again with none.
    """
    context = ray.get_runtime_context()
    job = f"{context.get_node_id()}/{context.get_job_id()}"
    if job not in _of_cluster:
        _of_cluster.clear()
        options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        _of_cluster[job] = ray.remote(**options)(Attempts).remote()
    return _of_cluster[job]
