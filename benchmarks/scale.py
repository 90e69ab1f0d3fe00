"""A million rows through the engine, against a pool of plain processes on the same shards without Ray or sandbox.

Both read each shard, apply ten programs to every row and write the votes; the engine besides confines the programs,
writes faults and counts moments, patterns and tallies. Wall time on all cores of an otherwise idle machine, the start
taken off by running two sizes; the engine's actors are started for each run, as they are in earnest. Votes are
compared shard by shard.

    python benchmarks/scale.py [--rows 1000000] [--repeats 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import ROOT, SHARED, label_function, plain_votes, provenance, sources_of, texts_of
from sandbox_throughput import cheap_sources

from cluster.session import connect
from operators.apply import ApplyShard, actor_memory_bytes
from operators.corpus.plan import Shard, plan_shards
from operators.corpus.read import read_shard
from operators.rows import IndexShard, SplitRule
from operators.sandbox.pool import Limits
from operators.stream import run_shards
from operators.votes import VoteStore

BARS = {"real": 0.90, "cheap": 0.72}
_FILE_ROWS = 100_000
_SMALL = 4
"""The small size is a quarter of the large one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Programs, how many share a worker, and whether actors run them: the engine takes none for short work."""

    name: str
    sources: Sequence[str]
    group_size: int
    stateful: bool


def main() -> None:
    """Time both on both sizes, print the table and write it; exit with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "text")
    parser.add_argument("--programs", type=Path, default=SHARED / "programs")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "scale.json")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    cases = [
        Case(name="real", sources=sources_of("youtube", programs=options.programs), group_size=1, stateful=True),
        Case(name="cheap", sources=cheap_sources(), group_size=10, stateful=False),
    ]
    results = {}
    with tempfile.TemporaryDirectory() as name, connect() as session:
        folder = Path(name)
        shards = written(folder, data=options.data, rows=options.rows)
        for case in cases:
            warmed(case, shards, folder, session.num_cpus)
            rounds = [measured(case, shards, folder, session.num_cpus) for _ in range(options.repeats)]
            ratios = [ours["rows_per_s"] / pool["rows_per_s"] for pool, ours in rounds]
            results[case.name] = {
                "plain_rows_per_s": round(median(pool["rows_per_s"] for pool, _ in rounds)),
                "engine_rows_per_s": round(median(ours["rows_per_s"] for _, ours in rounds)),
                "engine_start_s": round(median(ours["start_s"] for _, ours in rounds), 1),
                "ratio": round(median(ratios), 3),
                "ratios": [round(ratio, 3) for ratio in ratios],
                "bar": BARS[case.name],
            }
            print(case.name, json.dumps(results[case.name]), flush=True)
    driver_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    content = {**provenance(packages=["ray", "pyarrow"]), "rows": options.rows, "shards": len(shards)}
    content |= {"driver_peak_mb": driver_mb, "results": results}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(content, indent=1) + "\n")
    missed = [name for name, found in results.items() if found["ratio"] < found["bar"]]
    raise SystemExit(f"bars missed: {', '.join(missed)}" if missed else 0)


def written(folder: Path, *, data: Path, rows: int) -> list[Shard]:
    """Write a corpus of repeated comments with ids, and index it."""
    texts = texts_of("youtube", data=data, rows=_FILE_ROWS)
    for start in range(0, rows, _FILE_ROWS):
        ids = np.arange(start, min(rows, start + _FILE_ROWS))
        table = pa.table({"id": ids, "text": texts.slice(0, len(ids))})
        pq.write_table(table, folder / f"{start:09d}.parquet", row_group_size=16_384)
    shards = plan_shards([str(folder)], max_rows=16_384, max_bytes=4 << 20, columns=["id", "text"])
    rule = SplitRule(column=None, train_values=(), test_values=(), fraction=0.2)
    index = IndexShard(folder=str(folder / "run"), digest="r", text="text", id_column="id", split=rule)
    for shard in shards:
        index(shard.to_json())
    return shards


def warmed(case: Case, shards: list[Shard], folder: Path, cpus: int) -> None:
    """Start Ray's workers and read its modules once, which the first of two sizes would pay for alone."""
    run = folder / f"{case.name}-warm"
    run.mkdir()
    engine(case, shards[: 2 * cpus], run, folder, cpus)


def measured(case: Case, shards: list[Shard], folder: Path, cpus: int) -> tuple[dict[str, float], dict[str, float]]:
    """Time the pool and the engine on a quarter and on all of the shards; returns speed and start of each."""
    few = shards[: max(2, len(shards) // _SMALL)]
    times: dict[str, list[float]] = {"plain": [], "engine": []}
    for chosen in (few, shards):
        run = folder / f"{case.name}-{time.monotonic_ns()}"
        times["plain"].append(plain(case, chosen, run, cpus))
        times["engine"].append(engine(case, chosen, run, folder, cpus))
        compare(case, chosen, run)
    rows = [sum(shard.num_rows for shard in chosen) for chosen in (few, shards)]
    found = []
    for name in ("plain", "engine"):
        slope = (times[name][1] - times[name][0]) / (rows[1] - rows[0])
        found.append({"rows_per_s": 1 / slope, "start_s": times[name][0] - slope * rows[0]})
    return found[0], found[1]


def plain(case: Case, shards: list[Shard], run: Path, cpus: int) -> float:
    """Label with a pool of processes, and nothing else."""
    (run / "plain").mkdir(parents=True)
    with multiprocessing.get_context("spawn").Pool(cpus, _start, (list(case.sources), str(run / "plain"))) as pool:
        pool.map(_nothing, range(cpus))
        start = time.perf_counter()
        for _ in pool.imap_unordered(_label, [shard.to_json() for shard in shards]):
            pass
        return time.perf_counter() - start


def engine(case: Case, shards: list[Shard], run: Path, folder: Path, cpus: int) -> float:
    """Label with the engine's own step, on Ray Data, in the sandbox."""
    keys = tuple(f"{j:016x}" for j in range(len(case.sources)))
    (run / "rows").mkdir(parents=True)
    for shard in shards:
        name = f"{shard.key}-r.parquet"
        (run / "rows" / name).symlink_to(folder / "run" / "rows" / name)
    VoteStore(run).declare(keys)
    limits = Limits(group_size=case.group_size, inflight=1)  # as many workers as cores, as in a run
    args: dict[str, Any] = {
        "folder": str(run),
        "rows": "r",
        "text": "text",
        "id_column": "id",
        "sources": list(case.sources),
        "program_keys": keys,
        "all_keys": keys,
        "num_classes": 2,
        "limits": limits,
    }
    memory = actor_memory_bytes(limits, num_programs=len(keys))
    start = time.perf_counter()
    items = [shard.to_json() for shard in shards]
    # As engine.stages.stream counts them: one call more than cores, for while another waits for the disk.
    how = {"num_actors": cpus + (not case.stateful), "memory": memory, "stateful": case.stateful}
    for _ in run_shards(items, ApplyShard, step_args=args, **how):
        pass
    return time.perf_counter() - start


def compare(case: Case, shards: list[Shard], run: Path) -> None:
    """Hold the votes of both against each other."""
    keys = tuple(f"{j:016x}" for j in range(len(case.sources)))
    for shard in shards:
        if not np.array_equal(VoteStore(run).read(shard.key, keys)[0], np.load(run / "plain" / f"{shard.key}.npy")):
            raise SystemExit(f"{case.name}: the engine's votes on shard {shard.key} are not the plain loop's")


_calls: list[Any] = []
_out = Path()


def _start(sources: list[str], out: str) -> None:
    global _out
    _calls[:] = [label_function(source) for source in sources]
    _out = Path(out)


def _nothing(_: int) -> None:
    """Wait for the pool."""


def _label(item: str) -> None:
    shard = Shard.from_json(item)
    texts = read_shard(shard, text="text", id="id").column("text").to_pylist()
    votes = np.stack([plain_votes(call, texts, num_classes=2) for call in _calls], axis=1)
    np.save(_out / f"{shard.key}.npy", votes)


if __name__ == "__main__":
    main()
