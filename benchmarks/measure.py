"""What the benchmarks of programs share: the real programs, their texts, a plain loop, and clocks of CPU time.

The machine that runs a benchmark is seldom quiet, so what is claimed are ratios of CPU time, measured in turn in one
run.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.synthesis.programs import load_folder
from operators.schema import ABSTAIN, Votes

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

TEXTS = {
    "youtube": "wrench_youtube",
    "sms": "sms_uci_raw",
    "imdb": "cosine_imdb",
    "yelp": "cosine_yelp",
    "medabs": "medical_abstracts_test",
    "french": "french_book_reviews",
}
"""File of texts of each folder of programs."""

NUM_CLASSES = {"youtube": 2, "sms": 2, "imdb": 2, "yelp": 2, "medabs": 5, "french": 3}

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def sources_of(task: str, *, programs: Path) -> list[str]:
    """Read the source of every program of a task."""
    accepted, rejected = load_folder(programs / task)
    if rejected:
        sys.exit(f"{programs / task}: {rejected[0]}")
    return [program.source for program in accepted if program.disabled is None]


def texts_of(task: str, *, data: Path, rows: int) -> pa.Array:
    """Read so many texts of a task, from the start again when there are not enough.

    Returns:
        (rows,) strings without nulls.
    """
    path = data / f"{TEXTS[task]}.parquet"
    if not path.is_file():
        sys.exit(f"{path}: no such file; say where the texts are with --data")
    found = pq.read_table(path, columns=["text"]).column("text").drop_null().combine_chunks()
    return pa.concat_arrays([found] * (rows // len(found) + 1)).slice(0, rows).cast(pa.large_string())


def label_function(source: str) -> Callable[[str], object]:
    """Load a program into this process, without any sandbox."""
    namespace: dict[str, object] = {}
    exec(source, namespace)  # noqa: S102 - the measure of the sandbox is a loop without one
    function = namespace["label_function"]
    assert callable(function)
    return function


def plain_votes(call: Callable[[str], object], texts: Sequence[str], *, num_classes: int) -> Votes:
    """Apply a program to rows as a loop without a sandbox would: errors and wrong votes abstain."""
    votes = np.full(len(texts), ABSTAIN, np.int8)
    cells = votes.data  # an array's own assignment takes three times as long
    for row, text in enumerate(texts):
        try:
            vote = call(text)
        except Exception:
            continue
        if isinstance(vote, int) and -1 <= vote < num_classes:
            cells[row] = vote
    return votes


def children_cpu_s() -> float:
    """CPU seconds of this process's living children, and of those of theirs that have ended.

    A sandbox's workers are children of its zygote and ended when a call returns. The kernel counts in ticks of
    10 ms, so what is measured should take seconds.
    """
    total = 0
    for thread in Path("/proc/self/task").iterdir():
        for pid in (thread / "children").read_text().split():
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            total += sum(map(int, fields[11:15]))  # utime, stime, and both of children waited for
    return total / _TICKS_PER_S


def provenance(*, packages: Sequence[str]) -> dict[str, object]:
    """What made the numbers: command, commit, machine, versions."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    dirty = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False)
    script, *arguments = sys.argv
    return {
        "command": " ".join(["python", f"benchmarks/{Path(script).name}", *arguments]),
        "commit": head.stdout.strip() if head.returncode == 0 else None,
        "uncommitted_changes": bool(dirty.stdout.strip()),
        "machine": {
            "platform": platform.platform(),
            "processor": platform.machine(),
            "cpus": os.cpu_count(),
            "load": [round(load, 1) for load in os.getloadavg()],
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }
