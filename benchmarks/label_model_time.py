"""How long a label model takes: counting the rows, fitting from the counts, labeling the rows.

Fitting depends on programs and classes alone; rows enter through counts. Beside it Snorkel's whole fit on the same
label matrix, where it is installed (`pip install -e .[bench]`). Votes are drawn from planted programs.

    python benchmarks/label_model_time.py [--rows 100000 1000000 10000000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from measure import ROOT, provenance
from other_models import available

from engine.label_model import moment_matching
from engine.label_model.synthetic import plant, plant_table
from operators.moments import Moments
from operators.patterns import Patterns
from operators.posterior import soft_labels
from operators.schema import Votes

T = TypeVar("T")

SHAPES = tuple((m, k) for k in (2, 10) for m in (10, 50, 200))
_FIT_ROWS = 20_000
_BLOCK_ROWS = 16_384
"""Of a shard, which is what workers count at a time."""

FIT_LIMIT_S = 5.0
"""That 200 programs of 10 classes may take."""


def main() -> None:
    """Measure, print the tables and write them with what made them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10**5, 10**6, 10**7])
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "label_model_time.json")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    fits = [fit_row(m, k) for m, k in SHAPES]
    passes = [pass_row(n) for n in options.rows]
    for rows in (fits, passes):
        print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
        for row in rows:
            print("| " + " | ".join("" if v is None else f"{v:,.6g}" for v in row.values()) + " |")
        print()
    content = {**provenance(packages=["numpy", "cvxpy", "clarabel"]), "fits": fits, "passes": passes}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(content, indent=1) + "\n")
    if max(row["fit_s"] or 0.0 for row in fits) > FIT_LIMIT_S:
        raise SystemExit(f"a fit took more than {FIT_LIMIT_S:g} s")


def fit_row(m: int, k: int) -> dict[str, float | None]:
    """Time the fit of one shape; the best of three, since the machine is shared."""
    votes = drawn(m, k, _FIT_ROWS)
    moments, patterns = Moments.of(votes, k), Patterns.of(votes, k)
    fit_s = min(timed(lambda: moment_matching.fit(moments, patterns))[1] for _ in range(3))
    snorkel_s = None
    method = available().get("snorkel")
    if method is not None:
        covered = votes[(votes >= 0).any(axis=1)]
        snorkel_s = round(timed(lambda: method(covered, k))[1], 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"m": m, "k": k, "fit_s": round(fit_s, 2), "snorkel_s": snorkel_s, "peak_mb_so_far": peak}


def pass_row(n: int) -> dict[str, float | None]:
    """Time one pass over n rows of 10 programs and 2 classes, block by block as workers do it."""
    votes = drawn(10, 2, min(n, 10**6))
    votes = np.tile(votes, (-(-n // len(votes)), 1))[:n]
    blocks = [votes[start : start + _BLOCK_ROWS] for start in range(0, n, _BLOCK_ROWS)]
    moments, moments_s = timed(lambda: sum((Moments.of(b, 2) for b in blocks), start=Moments.zero(10, 2)))
    patterns, patterns_s = timed(lambda: sum((Patterns.of(b, 2) for b in blocks), start=Patterns.zero(10)))
    evidence = moment_matching.fit(moments, patterns).evidence
    _, label_s = timed(lambda: [soft_labels(block, evidence).shape for block in blocks])
    return {
        "rows": n,
        "moments_rows_per_s": round(n / moments_s),
        "patterns_rows_per_s": round(n / patterns_s),
        "labels_rows_per_s": round(n / label_s),
    }


def drawn(m: int, k: int, n: int) -> Votes:
    """Draw votes of planted programs."""
    rng = np.random.default_rng(0)
    theta = plant_table(num_programs=m, num_classes=k, coverage=(0.05, 0.3), rng=rng)
    return plant(theta=theta, class_balance=np.full(k, 1.0 / k), num_rows=n, rng=rng).votes


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what some work gives, and its wall seconds."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


if __name__ == "__main__":
    main()
