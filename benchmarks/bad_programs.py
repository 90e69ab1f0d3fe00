"""A million rows with three bad programs among ten: the run ends, and the votes of the others are what they were.

One program loops for ever on 0.1% of the rows, one overflows its C stack on one row (a segmentation fault that no
screen can see), one keeps 20 KB of each row. The seven others are real. The corpus is labeled twice, with the bad
programs and without them, each from nothing through Ray; the columns of the seven are compared cell by cell.

    python benchmarks/bad_programs.py [--rows 1000000] [--data ../shared/data/text] [--programs ../shared/programs]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import ROOT, SHARED, provenance, sources_of, texts_of

from engine.pipeline import RunResult, run
from engine.task import LabelingTask
from operators.schema import Fault
from operators.votes import VoteStore

_FILE_ROWS = 100_000
_LOOP_EVERY = 1000

LOOPS = f"""
def label_function(text):
    while int(text.rpartition("#")[2]) % {_LOOP_EVERY} == 7:
        pass
    return 1 if "http" in text else -1
"""

SEGFAULTS = """
def label_function(text):
    if text.endswith("#{row}"):
        chain = ()
        for _ in range(80_000):
            chain = map(str, chain)
        return len(list(chain))
    return 1 if "subscribe" in text else -1
"""

LEAKS = """
KEPT = []
def label_function(text):
    KEPT.append(bytearray(20_000))
    return 0 if "love" in text else -1
"""


def main() -> None:
    """Label twice, compare, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "text")
    parser.add_argument("--programs", type=Path, default=SHARED / "programs")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "bad_programs.json")
    options = parser.parse_args()
    good = {f"good_{j}": source for j, source in enumerate(sources_of("youtube", programs=options.programs)[:7])}
    bad = {"loops": LOOPS, "segfaults": SEGFAULTS.format(row=options.rows // 2), "leaks": LEAKS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(folder / "corpus", data=options.data, rows=options.rows)
        clean, clean_s = labeled(folder, "clean", good)
        mixed, mixed_s = labeled(folder, "mixed", good | bad)
        different = cells_that_differ(clean.run, mixed.run, good)
        faults = fault_counts(mixed.run, good | bad)
    content = {
        **provenance(packages=["ray", "pyarrow"]),
        "rows": options.rows,
        "cells_that_differ": different,
        "seconds": {"clean": clean_s, "with_bad_programs": mixed_s},
        "quarantined": mixed.quarantined,
        "faults": faults,
    }
    print(json.dumps(content, indent=1))
    options.out.write_text(json.dumps(content, indent=1) + "\n")
    if different or clean.quarantined or set(mixed.quarantined) - set(bad):
        sys.exit("the bad programs changed what happened to the others")


def write_corpus(folder: Path, *, data: Path, rows: int) -> None:
    """Write comments, repeated and numbered, as Parquet."""
    folder.mkdir()
    texts = texts_of("youtube", data=data, rows=_FILE_ROWS).to_pylist()
    for start in range(0, rows, _FILE_ROWS):
        numbers = range(start, min(rows, start + _FILE_ROWS))
        table = pa.table({"id": list(numbers), "text": [f"{texts[i % _FILE_ROWS]} #{i}" for i in numbers]})
        pq.write_table(table, folder / f"{start:09d}.parquet")


def labeled(folder: Path, name: str, programs: dict[str, str]) -> tuple[RunResult, float]:
    """Let programs vote on the corpus; returns the run and its wall seconds."""
    (folder / f"{name}_programs").mkdir()
    for program, source in programs.items():
        (folder / f"{name}_programs" / f"{program}.py").write_text(source, encoding="utf-8")
    task = LabelingTask.model_validate(
        {
            "name": name,
            "data": {"source": str(folder / "corpus")},
            "columns": {"id": "id"},
            "classes": [{"name": "ham"}, {"name": "spam"}],
            "instruction": "Label a comment as ham or spam.",
            "programs": {"folder": str(folder / f"{name}_programs")},
        }
    )
    start = time.perf_counter()
    result = run(task, out=folder / name, until="apply")
    return result, round(time.perf_counter() - start, 1)


def cells_that_differ(clean: Path, mixed: Path, programs: dict[str, str]) -> int:
    """Count cells of these programs whose vote or fault is not the same in both runs."""
    keys = {run: keys_of(run) for run in (clean, mixed)}
    different = 0
    for shard in shards_of(clean):
        pairs = [VoteStore(run).read(shard, [keys[run][name] for name in programs]) for run in (clean, mixed)]
        different += sum(int(np.count_nonzero(a != b)) for a, b in zip(*pairs, strict=True))
    return different


def fault_counts(run: Path, programs: dict[str, str]) -> dict[str, dict[str, int]]:
    """Count the faults of each program by code."""
    keys = keys_of(run)
    totals = np.zeros((len(programs), len(Fault)), np.int64)
    for shard in shards_of(run):
        _, faults = VoteStore(run).read(shard, [keys[name] for name in programs])
        totals += np.array([np.bincount(column, minlength=len(Fault)) for column in faults.T])
    named = {
        name: {code.name.lower(): int(row[code]) for code in Fault if code and row[code]}
        for name, row in zip(programs, totals, strict=True)
    }
    return {name: counts for name, counts in named.items() if counts}


def keys_of(run: Path) -> dict[str, str]:
    """Map names of programs to their keys in a run."""
    keys: dict[str, str] = json.loads((run / "run.json").read_text(encoding="utf-8"))["programs"]
    return keys


def shards_of(run: Path) -> list[str]:
    """Return the keys of the shards that have votes."""
    return sorted({path.stem.partition("-")[0] for path in (run / "votes").glob("*.parquet")})


if __name__ == "__main__":
    main()
