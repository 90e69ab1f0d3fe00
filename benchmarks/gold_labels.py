"""What fifty gold labels bring the label model, on every matrix of label_model_quality.py with 300 rows or more.

Fifty rows are drawn at random, three times; scores are of the other rows, so that no row is judged by its own label.

    python benchmarks/gold_labels.py [--labels 50] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import numpy as np
from label_model_quality import measured
from matrices import Matrix, program_votes, read_folder
from measure import ROOT, SHARED, TEXTS, provenance

from engine.label_model import moment_matching
from engine.label_model.gold import GoldCounts
from operators.moments import Moments
from operators.patterns import Patterns
from operators.schema import ABSTAIN

_LEAST_ROWS = 300
_DRAWS = 3


def main() -> None:
    """Compare, print the table and write it with what made it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=50)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "gold_labels.json")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    matrices = [m for kind in ("weak", "crowd") for m in read_folder(SHARED / "data" / kind)]
    texts = SHARED / "data" / "text"
    matrices += [program_votes(task, programs=SHARED / "programs", texts=texts) for task in TEXTS]
    print("| matrix | without | with | log loss without | with |\n|---|---|---|---|---|")
    found = {m.name: compared(m, options.labels) for m in matrices if len(m.votes) >= _LEAST_ROWS}
    found["mean"] = {key: round(float(np.mean([row[key] for row in found.values()])), 3) for key in found["hausa"]}
    for name, row in found.items():
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in row.values())} |")
    content = {**provenance(packages=["numpy", "cvxpy"]), "labels": options.labels, "scores": found}
    options.json.write_text(json.dumps(content, indent=1) + "\n")


def compared(matrix: Matrix, num_labels: int) -> dict[str, float]:
    """Score the rows without a drawn label, by a fit without gold and one with it; the mean of the draws."""
    k = matrix.num_classes
    counts = Moments.of(matrix.votes, k), Patterns.of(matrix.votes, k)
    plain = moment_matching.fit(*counts).predict_proba(matrix.votes)
    covered = (matrix.votes != ABSTAIN).any(axis=1)
    rows = []
    for seed in range(_DRAWS):
        drawn = np.random.default_rng(seed).choice(np.flatnonzero(matrix.gold >= 0), num_labels, replace=False)
        known = np.full(len(matrix.gold), ABSTAIN)
        known[drawn] = matrix.gold[drawn]
        model = moment_matching.fit(*counts, gold=GoldCounts.of(matrix.votes, known, k))
        judged = covered & (known == ABSTAIN)
        scores = [
            measured(soft[judged], matrix.gold[judged], matrix.metric, 0.0)
            for soft in (plain, model.predict_proba(matrix.votes))
        ]
        rows.append([scores[0].score, scores[1].score, scores[0].log_loss, scores[1].log_loss])
    keys = ("without", "with", "log_loss_without", "log_loss_with")
    return dict(zip(keys, np.mean(rows, axis=0).tolist(), strict=True))


if __name__ == "__main__":
    main()
