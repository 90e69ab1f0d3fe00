"""The sandbox as a step on Ray Data, beside the plain loop over the same shard, for benchmarks/sandbox_throughput.py.

What is charged to the sandbox is all CPU time of the actor and its children, reading the shard and Ray's own threads
included. The start is taken off by running two numbers of shards.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import NUM_CLASSES, children_cpu_s, label_function, plain_votes

from cluster.session import connect
from operators.sandbox.pool import Limits, Sandbox
from operators.stream import run_shards

_FEW, _MANY = 2, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Programs and the texts of one shard.

    Attributes:
        texts: (n,) strings.
    """

    task: str
    sources: Sequence[str]
    texts: pa.Array


class Step:
    """Runs programs over a shard twice: in the sandbox, and in a plain loop whose CPU time is not the sandbox's."""

    def __init__(self, *, sources: Sequence[str], num_classes: int, group_size: int) -> None:
        self._num_classes = num_classes
        self._sandbox = Sandbox(sources, num_classes=num_classes, limits=Limits(group_size=group_size))
        self._calls = [label_function(source) for source in sources]
        self._not_sandbox_s = 0.0

    def __call__(self, item: str) -> bytes:
        """Run one shard; returns CPU seconds so far of the plain loop and of all else, as JSON."""
        column = pq.read_table(item, columns=["text"]).column("text").combine_chunks()
        outcome = self._sandbox.run(column, seed=0)
        # Of this thread alone: what Ray's threads do meanwhile is part of what the sandbox is charged with.
        began = time.thread_time()
        texts = column.to_pylist()
        start = time.thread_time()
        expected = [plain_votes(call, texts, num_classes=self._num_classes) for call in self._calls]
        plain_s = time.thread_time() - start
        if not np.array_equal(outcome.votes, np.stack(expected, axis=1)):
            raise ValueError("the sandbox's votes are not those of the plain loop")
        self._not_sandbox_s += time.thread_time() - began
        sandbox_s = time.process_time() + children_cpu_s() - self._not_sandbox_s
        return json.dumps({"plain_s": plain_s, "sandbox_s": sandbox_s}).encode()


def ratios(workloads: Sequence[Workload], *, group_size: int, num_repeats: int) -> dict[str, list[float]]:
    """Measure CPU time of the plain loop over that of the sandbox on Ray Data.

    Returns:
        {task: a ratio for each repetition}.
    """
    # Ray's workers are nice to all else, and on a busy machine then take forever; CPU time is the same.
    os.environ.setdefault("RAY_worker_niceness", "0")
    found: dict[str, list[float]] = {workload.task: [] for workload in workloads}
    with tempfile.TemporaryDirectory() as folder, connect():
        for _ in range(num_repeats):
            for workload in workloads:
                few = _run(workload, Path(folder), num_shards=_FEW, group_size=group_size)
                many = _run(workload, Path(folder), num_shards=_MANY, group_size=group_size)
                # Of the larger run alone: the smaller would add its noise to a sum that has no start to take off.
                plain_s = many[0] * (_MANY - _FEW) / _MANY
                found[workload.task].append(plain_s / (many[1] - few[1]))
    return found


def _run(workload: Workload, folder: Path, *, num_shards: int, group_size: int) -> tuple[float, float]:
    """Run some shards in one actor; returns CPU seconds of the plain loop and of the actor's life without it."""
    first = folder / f"{workload.task}-0.parquet"
    if not first.exists():
        pq.write_table(pa.table({"text": workload.texts}), first)
    paths = [first.with_name(f"{workload.task}-{number}.parquet") for number in range(num_shards)]
    for path in paths[1:]:
        if not path.exists():
            shutil.copyfile(first, path)
    step_args = {
        "sources": list(workload.sources),
        "num_classes": NUM_CLASSES[workload.task],
        "group_size": group_size,
    }
    results = [
        json.loads(data) for data in run_shards([str(path) for path in paths], Step, step_args=step_args, num_actors=1)
    ]
    return sum(result["plain_s"] for result in results), max(result["sandbox_s"] for result in results)
