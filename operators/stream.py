"""Running a step over shards on Ray Data: one shard is one block is one batch.

This is the one file that knows Ray Data. What goes in is a string an item, what comes out is a small partial
result an item; rows never pass through here, since a step reads its own shard and commits its own file.
"""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
import ray
from ray.data.exceptions import ExecutionTimeoutError

from operators.attempts import MOST_DEATHS, Seen, attempts
from operators.errors import OperatorError
from operators.interrupts import felt_interrupts
from operators.trouble import About


class StepError(OperatorError):
    """A step raised what no step raises on purpose; the message holds its traceback."""


_CALLS_A_WORKER = 8
"""Remote calls that the items of a step are dealt into, a worker."""

WORKER_CPUS = 0.5
"""Of a worker. Below 1, so that on a machine of few cores the pool leaves Ray Data some to run with."""


class Step(Protocol):
    """What `run_shards` makes in each worker and calls once an item."""

    def __call__(self, item: str) -> bytes:
        """Do the work of one item and return its partial result."""
        ...


def run_shards(
    items: Sequence[str],
    step: Callable[..., Step],
    *,
    step_args: Mapping[str, Any],
    num_actors: int,
    most_actors: int | None = None,
    stateful: bool = True,
    num_cpus: float = WORKER_CPUS,
    memory: int | None = None,
    num_gpus: float = 0.0,
    no_progress_timeout_s: float = 300.0,
    on_result: Callable[[bytes], None] | None = None,
    on_done: Callable[[str, float], None] | None = None,
    about: About | None = None,
) -> Iterator[bytes]:
    """Run a step over items on the cluster that this process is connected to.

    Results come in the order in which items finish. A worker that dies is replaced and its item done again, so a
    step must not mind being repeated. Leaving the iterator early, by an exception or Ctrl-C, ends what is at work.

    Args:
        items: what the step is called with, one at a time.
        step: class whose objects take an item; made once a worker, where its first item arrives.
        step_args: arguments of `step`.
        num_actors: at most this many work at a time, never more than items.
        most_actors: to how many the pool grows when nodes join and have room; `num_actors` unless given.
        stateful: whether the step needs an actor: it has processes to end, or costs much to make or memory to keep.
            Other steps run as remote calls in workers that are kept from one execution to the next, which spares three
            seconds of imports each time; a worker makes the step anew for each execution, and then closes the last one
            where it has a `close`.
        num_cpus: of a worker.
        memory: bytes of an actor, for placing it; None leaves memory out of account.
        num_gpus: of a worker.
        no_progress_timeout_s: give up when for so long no item has finished.
        on_result: called with each result before it is yielded.
        on_done: called before that with the item and the seconds that its worker took.
        about: what errors call things by.

    Raises:
        OperatorError: the one that a step raised, by type and message; the first ends the run.
        StepError: a step raised something else, an item killed its worker `MOST_DEATHS` times, or no item finished
            within `no_progress_timeout_s`.
    """
    if num_actors < 1:
        raise ValueError(f"num_actors must be at least 1, got {num_actors}")
    if not items:
        return
    about = about or About()
    size, most = (min(number, len(items)) for number in (num_actors, max(num_actors, most_actors or 0)))
    execution, counting = uuid.uuid4().hex, attempts()
    made = {"step": step, "step_args": dict(step_args), "execution": execution, "counting": counting}
    # An actor has its next items in line. A remote call starts when another has ended, which takes as long as many a
    # shard: so each does several items, few enough that all workers end together.
    together = 1 if stateful else max(1, len(items) // (_CALLS_A_WORKER * size))
    calls = -(-len(items) // together)
    if stateful:
        how: dict[str, Any] = {"fn": _Actor, "fn_constructor_kwargs": made, "compute": _pool(size, most)}
    else:
        how = {"fn": _call, "fn_kwargs": made, "compute": ray.data.TaskPoolStrategy(size=min(most, calls))}
    with felt_interrupts(), _quiet_context(no_progress_timeout_s * together):
        rows = [{"item": item, "position": position} for position, item in enumerate(items)]
        dataset = ray.data.from_items(rows, override_num_blocks=calls).map_batches(
            batch_size=None, batch_format="pyarrow", num_cpus=num_cpus, num_gpus=num_gpus or None, memory=memory, **how
        )
        stream = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow"))
    with contextlib.closing(stream) as batches:
        try:
            while (batch := _next(batches)) is not None:
                for row in batch.to_pylist():
                    item = items[row["position"]]
                    if row["error"] is not None:
                        raise _error(row["error"], row["message"])
                    if row["deaths"] is not None:
                        raise StepError(about.deadly(item, row["deaths"]))
                    if on_done is not None:
                        on_done(item, row["seconds"])
                    if on_result is not None:
                        on_result(row["result"])
                    yield row["result"]
        except ExecutionTimeoutError as error:
            seen: Seen = ray.get(counting.seen.remote(execution))
            demand = f"{num_cpus:g} CPUs" + ("" if memory is None else f" and {memory >> 20} MB")
            under_way = {items[position]: times for position, times in seen.under_way.items()}
            told = about.stuck(
                under_way,
                patience_s=no_progress_timeout_s,
                workers=min(seen.workers, size),
                size=size,
                demand=demand,
            )
            raise StepError(told) from error
        finally:
            # A generator may be closed after Ray was, and a call would start it again.
            if ray.is_initialized():
                counting.forget.remote(execution)


def _pool(size: int, most: int) -> ray.data.ActorPoolStrategy:
    if size == most:
        return ray.data.ActorPoolStrategy(size=size)
    return ray.data.ActorPoolStrategy(min_size=size, max_size=most)


def _next(batches: Iterator[pa.Table]) -> pa.Table | None:
    """Wait for the next batch; None at the end. Here Ray would now and then lose an interrupt."""
    with felt_interrupts():
        return next(batches, None)


@contextlib.contextmanager
def _quiet_context(no_progress_timeout_s: float) -> Iterator[None]:
    """Settings of Ray Data for datasets made in the block; a dataset keeps a copy, other users' are untouched."""
    with warnings.catch_warnings():
        # Ray 2.60 warns of fields of its own when it makes the first context of a process.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"ray\.data\.context")
        context = ray.data.DataContext.get_current().copy()
    # A line a dataset, and one on how to get progress bars back; what matters of a failure is raised.
    for handler in logging.getLogger("ray.data").handlers:
        if handler.get_name() == "console":
            handler.setLevel(logging.ERROR)
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Ray's own default is half an hour of silence where the pool takes all CPUs (ray issue 44687).
    context.execution_no_progress_timeout_s = no_progress_timeout_s
    with ray.data.DataContext.current(context):
        yield


class _Actor:
    """Calls the step; what goes wrong becomes a row, because Ray wraps exceptions and retries some."""

    def __init__(self, *, step: Callable[..., Step], step_args: dict[str, Any], execution: str, counting: Any) -> None:
        self._make = step
        self._step_args = step_args
        self._execution = execution
        self._counting = counting
        self._name = uuid.uuid4().hex
        self._step: Step | None = None

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = [{"position": row["position"], **self._row(**row)} for row in batch.to_pylist()]
        return pa.Table.from_pylist(rows, schema=_RESULT)

    def close(self) -> None:
        """End what the step keeps, where it has something to end."""
        close = getattr(self._step, "close", None)
        if close is not None:
            close()

    def _row(self, *, item: str, position: int) -> dict[str, Any]:
        begun = self._counting.begin.remote(self._execution, position, self._name)
        # An answer takes tens of milliseconds where all cores are busy. It is waited for by a new worker alone: an item
        # that kills them comes to one in the end.
        if self._step is None and (times := ray.get(begun)) > MOST_DEATHS:
            return {"deaths": times - 1}
        start = time.perf_counter()
        try:
            if self._step is None:
                self._step = self._make(**self._step_args)
            result = self._step(item)
        except OperatorError as error:
            return {"error": type(error).__name__, "message": str(error)}
        except Exception as error:
            # Raised again in the driver, with the traceback that would be lost on the way.
            told = "".join(traceback.format_exception(error))
            return {"error": StepError.__name__, "message": f"a step failed on a worker:\n{told}"}
        self._counting.end.remote(self._execution, position)
        return {"result": result, "seconds": time.perf_counter() - start}


_of_this_worker: dict[str, _Actor] = {}
"""{execution: what a remote call made}; of the present execution alone."""


def _call(batch: pa.Table, *, execution: str, **made: Any) -> pa.Table:
    """Do as an actor does, in whichever worker this is."""
    if execution not in _of_this_worker:
        for earlier in _of_this_worker.values():
            earlier.close()
        _of_this_worker.clear()
        _of_this_worker[execution] = _Actor(execution=execution, **made)
    return _of_this_worker[execution](batch)


_RESULT = pa.schema(
    [
        ("position", pa.int64()),
        ("result", pa.binary()),
        ("seconds", pa.float64()),
        ("deaths", pa.int64()),
        ("error", pa.string()),
        ("message", pa.string()),
    ]
)


def _error(name: str, message: str) -> OperatorError:
    kinds, known = [OperatorError], {OperatorError.__name__: OperatorError}
    while kinds:
        for kind in kinds.pop().__subclasses__():
            known[kind.__name__] = kind
            kinds.append(kind)
    return known.get(name, OperatorError)(message)
