"""The corpus, the programs and the task of which benchmarks/kills.py disturbs the runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_CUES = ("http", "free", "win", "CLICK", "subscribe", "love", "song", "nice", "voice", "memories")
_OTHER = ("the", "this", "and", "video", "people", "today", "again", "really")

# Of some 0.1 ms a row, so that there is something to kill.
_PROGRAM = """
def label_function(text):
    sum(range(6000))
    return {vote} if {cue!r} in text else -1
"""


def write_project(folder: Path, *, rows: int) -> None:
    """Write comments, ten programs and a task."""
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
    (folder / "task.yaml").write_text(
        "name: kills\ndata: {source: comments.parquet}\ncolumns: {id: id}\nclasses: [{name: ham}, {name: spam}]\n"
        "instruction: Label a comment as ham or spam.\nprograms: {folder: programs}\n"
        f"shards: {{max_rows: {max(1, rows // 10)}}}\n",
        encoding="utf-8",
    )
