"""How the engine grows with the corpus, and what a changed program costs.

Corpora of a hundred thousand to three million comments are labeled up to the soft labels, by ten cheap programs, on
a Ray that is already up. CPU time is of the driver and all processes below it, Ray's included, the median of some runs
a size; the start is what a run over two shards takes, and the exponent the slope of a line through all sizes beyond it,
in logarithms. Then one program of ten is edited, cheap ones and real ones, and the run repeated.

    python benchmarks/growth.py [--rows 100000 300000 1000000 3000000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import ROOT, SHARED, provenance, sources_of, texts_of
from process_tree import Usage, used
from sandbox_throughput import cheap_sources

from cluster.session import connect
from engine import LabelingTask
from engine.pipeline import RunResult, run
from engine.stages.stream import Silent

EXPONENT_BAR = 1.02
EDIT_BAR = 0.2
_FILE_ROWS = 100_000
_START_ROWS = 32_768
_STARTS = 5
_EDIT_ROWS = {"cheap": 1_000_000, "real": 400_000}


class Stages(Silent):
    """Notes how long each stage took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def end(self, stage: str, status: str, seconds: float, rows: int | None, *, reason: str = "") -> None:
        """Note it."""
        self.seconds[stage] = seconds if status == "computed" else 0.0


def main() -> None:
    """Measure, print and write; exit with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000, 1_000_000, 3_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "text")
    parser.add_argument("--programs", type=Path, default=SHARED / "programs")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "growth.json")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    sources = {"cheap": cheap_sources(), "real": sources_of("youtube", programs=options.programs)}
    content: dict[str, Any] = provenance(packages=["ray", "pyarrow"])
    with tempfile.TemporaryDirectory() as name, connect():
        folder = Path(name)
        labeled(folder, sources["cheap"], data=options.data, rows=_START_ROWS)  # workers and files are warm after it
        starts = [labeled(folder, sources["cheap"], data=options.data, rows=_START_ROWS)[0] for _ in range(_STARTS)]
        start = sorted(starts, key=lambda usage: usage.cpu_s)[_STARTS // 2]
        sizes = {}
        for rows in options.rows:
            runs = [labeled(folder, sources["cheap"], data=options.data, rows=rows)[0] for _ in range(options.repeats)]
            sizes[rows] = sorted(runs, key=lambda usage: usage.cpu_s)[len(runs) // 2]
            print(rows, sizes[rows], flush=True)
        content["growth"] = growth(start, sizes)
        print(json.dumps(content["growth"]), flush=True)
        content["edited"] = {
            case: edited(folder, sources[case], data=options.data, rows=rows) for case, rows in _EDIT_ROWS.items()
        }
        print(json.dumps(content["edited"]), flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(content, indent=1) + "\n")
    missed = [f"edit, {case}" for case, found in content["edited"].items() if found["cpu_ratio"] > EDIT_BAR]
    missed += ["exponent"] if content["growth"]["exponent"] > EXPONENT_BAR else []
    raise SystemExit(f"bars missed: {', '.join(missed)}" if missed else 0)


def growth(start: Usage, sizes: dict[int, Usage]) -> dict[str, Any]:
    """Say how CPU time grows from the smallest to the largest size, the start taken off."""
    # Beyond the run over two shards, in rows and in CPU time: no slope has to be assumed to take the start off.
    above = {rows: used.cpu_s - start.cpu_s for rows, used in sizes.items()}
    more = {rows: rows - _START_ROWS for rows in sizes}
    logs = np.array([[math.log(more[rows]), math.log(above[rows])] for rows in sizes])
    return {
        "start_cpu_s": round(start.cpu_s, 1),
        "exponent": round(float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]), 3),
        "bar": EXPONENT_BAR,
        "sizes": {
            str(rows): {
                "seconds": round(used.seconds, 1),
                "cpu_s": round(used.cpu_s, 1),
                "rows_per_cpu_s": round(more[rows] / above[rows]),
                "driver_peak_mb": used.driver_bytes >> 20,
                "all_peak_mb": used.all_bytes >> 20,
            }
            for rows, used in sizes.items()
        },
    }


def labeled(
    folder: Path, sources: list[str], *, data: Path, rows: int, out: Path | None = None
) -> tuple[Usage, dict[str, float]]:
    """Label a corpus up to its soft labels; returns what it took, and the seconds of its stages."""
    corpus = written(folder, data=data, rows=rows)
    programs = folder / f"programs-{time.monotonic_ns()}"
    programs.mkdir()
    for number, source in enumerate(sources):
        (programs / f"p{number:02d}.py").write_text(source)
    task = LabelingTask(
        name="growth",
        data={"source": str(corpus / "*.parquet")},
        columns={"id": "id"},
        classes=[{"name": "ham"}, {"name": "spam"}],
        instruction="Label a comment as ham or spam.",
        programs={"folder": str(programs)},
        sandbox={"group_size": "auto"},
    )
    place = out or folder / f"run-{time.monotonic_ns()}"
    watch = Stages()
    with used() as usage:
        result = run(task, out=place, until="label", watch=watch)
    checked(result, rows)
    if out is None:
        shutil.rmtree(place)
    return usage, watch.seconds


def checked(result: RunResult, rows: int) -> None:
    """Hold the number of labels against the number of rows."""
    found = sum(pq.read_metadata(path).num_rows for path in (result.run / "labels").glob("*.parquet"))
    if found != rows:
        raise SystemExit(f"{found} labels for {rows} rows")


def edited(folder: Path, sources: list[str], *, data: Path, rows: int) -> dict[str, Any]:
    """Label, edit one program, and run again: what the second sitting's votes cost of the first's."""
    out = folder / f"edited-{time.monotonic_ns()}"
    whole, first = labeled(folder, sources, data=data, rows=rows, out=out)
    changed = [sources[0] + "\n# edited\n", *sources[1:]]
    again, second = labeled(folder, changed, data=data, rows=rows, out=out)
    same, third = labeled(folder, changed, data=data, rows=rows, out=out)
    shutil.rmtree(out)
    return {
        "rows": rows,
        "full_apply_s": round(first["apply"], 1),
        "edited_apply_s": round(second["apply"], 1),
        "apply_ratio": round(second["apply"] / first["apply"], 3),
        "cpu_ratio": round(again.cpu_s / whole.cpu_s, 3),
        "bar": EDIT_BAR,
        "nothing_changed_s": round(same.seconds, 2),
        "stages_of_that": sorted(stage for stage, seconds in third.items() if seconds),
    }


def written(folder: Path, *, data: Path, rows: int) -> Path:
    """Write a corpus of repeated comments with ids, unless it is there."""
    corpus = folder / f"corpus-{rows}"
    if not corpus.exists():
        corpus.mkdir()
        texts = texts_of("youtube", data=data, rows=_FILE_ROWS)
        for start in range(0, rows, _FILE_ROWS):
            ids = np.arange(start, min(rows, start + _FILE_ROWS))
            table = pa.table({"id": ids, "text": texts.slice(0, len(ids))})
            pq.write_table(table, corpus / f"{start:09d}.parquet", row_group_size=16_384)
    return corpus


if __name__ == "__main__":
    main()
