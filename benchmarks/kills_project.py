"""The corpus, the programs and the tasks of which benchmarks/kills.py disturbs the runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TASKS = ("calls", "actors")
"""Names of the task files. Programs whose time is known to be short run as remote calls, others in actors."""

_SHARDS = 8
_ADMISSION_ROWS = {"calls": 20, "actors": 0}  # without admission no time is known
_CUES = ("http", "free", "win", "CLICK", "subscribe", "love", "song", "nice", "voice", "memories")
_OTHER = ("the", "this", "and", "video", "people", "today", "again", "really")

# Of some 0.2 ms a row, so that there is something to kill.
_PROGRAM = """
def label_function(text):
    sum(range(10000))
    return {vote} if {cue!r} in text else -1
"""


def write_project(folder: Path, *, rows: int) -> None:
    """Write comments, ten programs and the tasks."""
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(rows):
        half = _CUES[:5] if rng.random() < 0.4 else _CUES[5:]
        texts.append(" ".join([*rng.choice(half, size=rng.integers(1, 4)), *rng.choice(_OTHER, size=6)]))
    pq.write_table(pa.table({"id": list(range(rows)), "text": texts}), folder / "comments.parquet")
    (folder / "programs").mkdir()
    for place, cue in enumerate(_CUES):
        source = _PROGRAM.format(cue=cue, vote=int(place < 5))
        (folder / "programs" / f"{cue.lower()}.py").write_text(source, encoding="utf-8")
    for name in TASKS:
        (folder / f"{name}.yaml").write_text(
            "name: kills\ndata: {source: comments.parquet}\ncolumns: {id: id}\n"
            "classes: [{name: ham}, {name: spam}]\ninstruction: Label a comment as ham or spam.\n"
            f"programs: {{folder: programs}}\nadmission: {{rows: {_ADMISSION_ROWS[name]}}}\n"
            f"shards: {{max_rows: {-(-rows // _SHARDS)}}}\n",
            encoding="utf-8",
        )
