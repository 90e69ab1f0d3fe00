"""Label models on 20 real label matrices: moment matching, majority vote, and a reference implementation.

Protocol: fit without gold on all rows that the matrix's meta.json names, score covered rows with gold, by
accuracy or by F1 of class 1 as meta.json says, ties broken at random with seed 0. The prior's rule was chosen
on these very matrices (engine/label_model/prior.py): read the table as a check of the implementation, not as
held-out evidence.

    python benchmarks/label_model.py [--data ../shared/data] [--out benchmarks/results/label_model.json]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from engine.label_model import moment_matching
from engine.label_model.baselines import majority_vote, weighted_vote
from operators.moments import Moments
from operators.schema import ABSTAIN

ROOT = Path(__file__).resolve().parents[1]

REFERENCE = {
    "bluebirds_duck": 86.1,
    "product_er": 38.9,
    "hausa": 50.4,
    "ksdd1": 73.8,
    "llm_datasculpt_agnews_gpt-3.5-turbo": 82.1,
    "llm_datasculpt_agnews_gpt-4-turbo": 79.7,
    "llm_datasculpt_imdb_gpt-3.5-turbo": 80.1,
    "llm_datasculpt_imdb_gpt-4-turbo": 81.1,
    "llm_datasculpt_sms_gpt-3.5-turbo": 83.0,
    "llm_datasculpt_sms_gpt-4-turbo": 82.6,
    "llm_datasculpt_youtube_gpt-3.5-turbo": 83.9,
    "llm_datasculpt_youtube_gpt-4-turbo": 89.8,
    "rules_imdb": 73.2,
    "rules_yelp": 73.3,
    "sst2_signals": 68.2,
    "wrench_chemprot": 55.0,
    "wrench_semeval": 84.2,
    "wrench_sms": 90.4,
    "wrench_trec": 54.2,
    "wrench_youtube": 86.2,
}
"""Scores x100 of an independent prototype of the same method, with its prior always shrunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A label matrix with gold.

    Attributes:
        votes: (n, m) int8.
        gold: (n,), ABSTAIN where unknown.
        metric: "accuracy" or "f1".
    """

    name: str
    votes: np.ndarray
    gold: np.ndarray
    num_classes: int
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row of the table; scores x100 on covered rows."""

    matrix: str
    rows: int
    programs: int
    classes: int
    metric: str
    covered: float
    majority_vote: float
    weighted_vote: float
    moment_matching: float
    reference: float | None
    independence_doubt: float
    prior_rule: str
    moments_s: float
    fit_s: float
    predict_s: float


def main() -> None:
    """Score every matrix, print the table and write it with what made it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="has weak/ and crowd/")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "label_model.json")
    options = parser.parse_args()
    metas = sorted([*options.data.glob("weak/*.meta.json"), *options.data.glob("crowd/*.meta.json")])
    if not metas:
        sys.exit(f"no weak/*.meta.json or crowd/*.meta.json below {options.data}; say where with --data")
    # Warnings of a fit on such matrices are expected; the table is what is asked for.
    logging.disable(logging.WARNING)
    scores = [score(read_matrix(meta)) for meta in metas]
    print(markdown(scores))
    content = {**provenance(), "summary": summary(scores), "scores": [asdict(s) for s in scores]}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=1) + "\n")


def read_matrix(meta_path: Path) -> Matrix:
    """Read a matrix in wide layout (gold, split, lf_*) or long layout (task, worker, label)."""
    meta = json.loads(meta_path.read_text())
    stem = meta_path.name.removesuffix(".meta.json")
    if meta["layout"] == "wide":
        table = pd.read_parquet(meta_path.with_name(f"{stem}.parquet"))
        if meta["use_splits"] != "all":
            wanted = meta["use_splits"]
            table = table[table["split"].isin([wanted] if isinstance(wanted, str) else wanted)]
        votes = table.filter(regex="^lf_").to_numpy(np.int8)
        gold = table["gold"].to_numpy()
    else:
        cast = pd.read_parquet(meta_path.with_name(f"{stem}.votes.parquet"))
        truth = pd.read_parquet(meta_path.with_name(f"{stem}.gold.parquet"))
        wide = cast.pivot_table(index="task", columns="worker", values="label", aggfunc="last")
        votes = wide.reindex(truth["task"]).fillna(ABSTAIN).to_numpy(np.int8)
        gold = truth.drop(columns="task").iloc[:, 0].to_numpy()
    return Matrix(
        name=meta["name"],
        votes=votes,
        gold=gold,
        num_classes=len(meta["classes"]),
        metric=meta["metric"],
    )


def score(matrix: Matrix) -> Score:
    """Fit the three label models to a matrix and score them."""
    started = time.perf_counter()
    moments = Moments.of(matrix.votes, matrix.num_classes)
    counted = time.perf_counter()
    model = moment_matching.fit(moments)
    fitted = time.perf_counter()
    soft = model.predict_proba(matrix.votes)
    predicted = time.perf_counter()
    assert model.diagnostics is not None
    return Score(
        matrix=matrix.name,
        rows=len(matrix.votes),
        programs=moments.num_programs,
        classes=matrix.num_classes,
        metric=matrix.metric,
        covered=round(moments.num_covered / moments.num_rows, 3),
        majority_vote=_measure(majority_vote(moments).predict_proba(matrix.votes), matrix),
        weighted_vote=_measure(weighted_vote(moments).predict_proba(matrix.votes), matrix),
        moment_matching=_measure(soft, matrix),
        reference=REFERENCE.get(matrix.name),
        independence_doubt=round(model.diagnostics.independence_doubt, 3),
        prior_rule=model.diagnostics.prior_rule,
        moments_s=round(counted - started, 3),
        fit_s=round(fitted - counted, 3),
        predict_s=round(predicted - fitted, 3),
    )


def _measure(soft: np.ndarray, matrix: Matrix) -> float:
    scored = (matrix.votes != ABSTAIN).any(axis=1) & (matrix.gold >= 0)
    soft, gold = soft[scored], matrix.gold[scored]
    best = soft >= soft.max(axis=1, keepdims=True) - 1e-9
    labels = (best * np.random.default_rng(0).random(soft.shape)).argmax(axis=1)
    if matrix.metric == "accuracy":
        return round(100 * float((labels == gold).mean()), 2)
    hits = int(((labels == 1) & (gold == 1)).sum())
    return round(200 * hits / max(1, int((labels == 1).sum() + (gold == 1).sum())), 2)


def summary(scores: list[Score]) -> dict[str, float]:
    """Means over matrices, and the largest differences."""
    ours = np.array([s.moment_matching for s in scores])
    majority = np.array([s.majority_vote for s in scores])
    known = [s for s in scores if s.reference is not None]
    to_reference = np.array([s.moment_matching - (s.reference or 0.0) for s in known])
    return {
        "matrices": len(scores),
        "mean_majority_vote": round(float(majority.mean()), 2),
        "mean_weighted_vote": round(float(np.mean([s.weighted_vote for s in scores])), 2),
        "mean_moment_matching": round(float(ours.mean()), 2),
        "mean_reference": round(float(np.mean([s.reference for s in known])), 2) if known else float("nan"),
        "worst_against_majority_vote": round(float((ours - majority).min()), 2),
        "best_against_majority_vote": round(float((ours - majority).max()), 2),
        "above_majority_vote": int((ours > majority).sum()),
        "worst_against_reference": round(float(to_reference.min()), 2) if known else float("nan"),
    }


def markdown(scores: list[Score]) -> str:
    """Return the table, its last line the means."""
    lines = [
        "| matrix | rows | m | k | metric | covered | majority vote | weighted vote | ours | reference | fit s |",
        "|---" * 11 + "|",
    ]
    for s in scores:
        reference = "" if s.reference is None else f"{s.reference:.1f}"
        lines.append(
            f"| {s.matrix} | {s.rows} | {s.programs} | {s.classes} | {s.metric} | {s.covered:.3f} | "
            f"{s.majority_vote:.1f} | {s.weighted_vote:.1f} | {s.moment_matching:.1f} | {reference} | {s.fit_s:.2f} |"
        )
    total = summary(scores)
    lines.append(
        f"| mean of {total['matrices']} | | | | | | {total['mean_majority_vote']:.1f} | "
        f"{total['mean_weighted_vote']:.1f} | {total['mean_moment_matching']:.1f} | "
        f"{total['mean_reference']:.1f} | |"
    )
    return "\n".join(lines)


def provenance() -> dict[str, object]:
    """What made these numbers: command, commit, machine, versions."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    dirty = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False)
    return {
        "command": "python benchmarks/label_model.py",
        "commit": head.stdout.strip() if head.returncode == 0 else None,
        "uncommitted_changes": bool(dirty.stdout.strip()),
        "machine": {"platform": platform.platform(), "processor": platform.machine(), "cpus": os.cpu_count()},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "cvxpy", "clarabel")},
        },
    }


if __name__ == "__main__":
    main()
