"""Label matrices with gold for the benchmarks of label models: files in two layouts, and votes of real programs.

Wide: `NAME.parquet` with gold, split, lf_0..; long: `NAME.votes.parquet` with task, worker, label beside
`NAME.gold.parquet`. `NAME.meta.json` names the layout, the classes, the metric and the splits to use.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from measure import NUM_CLASSES, TEXTS, sources_of

from operators.sandbox.pool import Limits, Sandbox
from operators.schema import ABSTAIN, Votes

PROGRAM_METRICS = {"sms": "f1"}
"""Of the votes of programs; accuracy where none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A label matrix with gold.

    Attributes:
        votes: (n, m) int8.
        gold: (n,), ABSTAIN where unknown.
        metric: "accuracy" or "f1" (of class 1).
    """

    name: str
    votes: Votes
    gold: npt.NDArray[np.int64]
    num_classes: int
    metric: str


def read_folder(folder: Path) -> list[Matrix]:
    """Read every matrix below a folder, in the order of their names."""
    metas = sorted(folder.rglob("*.meta.json"), key=lambda path: path.name)
    found = [read(meta) for meta in metas if json.loads(meta.read_text()).get("layout") in ("wide", "long")]
    if not found:
        sys.exit(f"no NAME.meta.json of a label matrix below {folder}; say where with --data")
    return found


def read(meta_path: Path) -> Matrix:
    """Read one matrix by its meta.json."""
    meta = json.loads(meta_path.read_text())
    stem = meta_path.name.removesuffix(".meta.json")
    if meta["layout"] == "wide":
        table = pd.read_parquet(meta_path.with_name(f"{stem}.parquet"))
        if meta["use_splits"] != "all":
            wanted = meta["use_splits"]
            table = table[table["split"].isin([wanted] if isinstance(wanted, str) else wanted)]
        votes = table.filter(regex="^lf_").to_numpy(np.int8)
        gold = table["gold"].to_numpy(np.int64)
    else:
        cast = pd.read_parquet(meta_path.with_name(f"{stem}.votes.parquet"))
        truth = pd.read_parquet(meta_path.with_name(f"{stem}.gold.parquet"))
        wide = cast.pivot_table(index="task", columns="worker", values="label", aggfunc="last")
        votes = wide.reindex(truth["task"]).fillna(ABSTAIN).to_numpy(np.int8)
        gold = truth.drop(columns="task").iloc[:, 0].to_numpy(np.int64)
    return Matrix(name=meta["name"], votes=votes, gold=gold, num_classes=len(meta["classes"]), metric=meta["metric"])


def program_votes(task: str, *, programs: Path, texts: Path) -> Matrix:
    """Let the programs of a task vote on its texts, in the sandbox."""
    table = pd.read_parquet(texts / f"{TEXTS[task]}.parquet")
    with Sandbox(sources_of(task, programs=programs), num_classes=NUM_CLASSES[task], limits=Limits()) as sandbox:
        votes = sandbox.run(table["text"].tolist(), seed=0).votes
    return Matrix(
        name=f"programs_{task}",
        votes=votes,
        gold=table["label"].to_numpy(np.int64),
        num_classes=NUM_CLASSES[task],
        metric=PROGRAM_METRICS.get(task, "accuracy"),
    )
