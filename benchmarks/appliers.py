"""The engine beside Snorkel's appliers: the same programs over the same comments, rows a second on the whole machine.

Snorkel's LFApplier and PandasLFApplier run in one process, without limits on a program; DaskLFApplier, where dask is
installed, in one process a core, started for each run. The engine runs them sandboxed on Ray Data and writes votes,
faults and counts. Wall time, the engine's start taken off by two sizes; medians of rounds in which all take their
turn; votes are compared.

    python benchmarks/appliers.py [--rows 1000000] [--json FILE]      (pip install -e .[bench] brings Snorkel)
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import pandas as pd
from measure import ROOT, SHARED, label_function, provenance, sources_of
from sandbox_throughput import cheap_sources
from scale import Case, engine, warmed, written
from snorkel.labeling import LabelingFunction, LFApplier, PandasLFApplier

from cluster.session import connect
from operators.corpus.read import read_shard
from operators.schema import Votes
from operators.votes import VoteStore

BARS = {"real": {"fastest": 1.7}, "cheap": {"LFApplier": 2.0, "PandasLFApplier": 3.5}}
_SNORKEL_ROWS = {"real": 20_000, "cheap": 100_000}
_SMALL = 4
_SHARE = {"real": 4, "cheap": 1}
"""Of the rows, one in so many: real programs take ten times as long."""


def main() -> None:
    """Time all of them, print the table and write it; exit with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "text")
    parser.add_argument("--programs", type=Path, default=SHARED / "programs")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "appliers.json")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    cases = [
        Case(name="real", sources=sources_of("youtube", programs=options.programs), group_size=1, stateful=True),
        Case(name="cheap", sources=cheap_sources(), group_size=10, stateful=False),
    ]
    results = {}
    with tempfile.TemporaryDirectory() as name, connect() as session:
        folder = Path(name)
        corpus = written(folder, data=options.data, rows=options.rows)
        for case in cases:
            shards = corpus[: max(4, len(corpus) // _SHARE[case.name])]
            few = shards[: max(2, len(shards) // _SMALL)]
            texts: list[str] = []
            for shard in shards:
                texts += read_shard(shard, text="text", id="id").column("text").to_pylist()
                if len(texts) >= _SNORKEL_ROWS[case.name]:
                    break
            rounds = []
            warmed(case, shards, folder, session.num_cpus)
            for number in range(options.repeats):
                found = {n: rate for n, (rate, _) in snorkel(case, texts[: _SNORKEL_ROWS[case.name]]).items()}
                runs = [folder / f"{case.name}-{size}-{number}" for size in ("few", "all")]
                seconds = []
                for run, chosen in zip(runs, (few, shards), strict=True):
                    run.mkdir()
                    seconds.append(engine(case, chosen, run, folder, session.num_cpus))
                rows = [sum(shard.num_rows for shard in chosen) for chosen in (few, shards)]
                found["engine"] = (rows[1] - rows[0]) / (seconds[1] - seconds[0])
                rounds.append(found)
                print(case.name, json.dumps({n: round(rate) for n, rate in found.items()}), flush=True)
            votes = snorkel(case, texts[: shards[0].num_rows])["LFApplier"][1]
            keys = tuple(f"{j:016x}" for j in range(len(case.sources)))
            if not np.array_equal(VoteStore(runs[1]).read(shards[0].key, keys)[0], votes):
                raise SystemExit(f"{case.name}: the engine's votes are not Snorkel's")
            found = {n: median(each[n] for each in rounds) for n in rounds[0]}
            # Of each round by itself: what else the machine does changes from one to the next.
            ratios = {n: round(median(e["engine"] / e[n] for e in rounds), 2) for n in found if n != "engine"}
            ratios["fastest"] = min(ratios.values())
            results[case.name] = {"rows_per_s": {n: round(r) for n, r in found.items()}, "engine_is_times": ratios}
            print(case.name, json.dumps(results[case.name]), flush=True)
    content = {**provenance(packages=["ray", "snorkel", "pandas"]), "rows": options.rows, "results": results}
    options.json.write_text(json.dumps(content, indent=1) + "\n")
    missed = [
        f"{case} against {n}"
        for case, bars in BARS.items()
        for n, bar in bars.items()
        if results[case]["engine_is_times"][n] < bar
    ]
    raise SystemExit(f"bars missed: {', '.join(missed)}" if missed else 0)


def snorkel(case: Case, texts: list[str]) -> dict[str, tuple[float, Votes]]:
    """Apply with Snorkel; returns rows a second and votes of each applier."""
    functions = [_labeling_function(j, label_function(source)) for j, source in enumerate(case.sources)]
    frame = pd.DataFrame({"text": texts})
    work: dict[str, Callable[[], Votes]] = {
        "LFApplier": lambda: LFApplier(functions).apply([SimpleNamespace(text=t) for t in texts], progress_bar=False),
        "PandasLFApplier": lambda: PandasLFApplier(functions).apply(frame, progress_bar=False),
    }
    if importlib.util.find_spec("dask") is not None:
        work["DaskLFApplier"] = lambda: _dask(functions, frame)
    found = {}
    for name, apply in work.items():
        start = time.perf_counter()
        votes = apply()
        found[name] = (len(texts) / (time.perf_counter() - start), votes)
    return found


def _dask(functions: list[LabelingFunction], frame: pd.DataFrame) -> Votes:
    import dask.dataframe
    from snorkel.labeling.apply.dask import DaskLFApplier

    parts = dask.dataframe.from_pandas(frame, npartitions=2)
    votes: Votes = DaskLFApplier(functions).apply(parts, scheduler="processes", fault_tolerant=True)
    return votes


def _labeling_function(number: int, call: Callable[[str], object]) -> LabelingFunction:
    return LabelingFunction(name=f"program_{number}", f=lambda row: call(row.text))


if __name__ == "__main__":
    main()
