"""Label models on every label matrix at hand: ours, its baselines, Snorkel's and crowd-kit's.

Protocol: fit without gold on all rows that the matrix's meta.json names, score covered rows with gold, by accuracy or
F1 of class 1 as meta.json says, ties drawn at random, the mean of ten draws. The same settings for every matrix. The
rules of moment matching were chosen on these matrices (engine/label_model/prior.py says how): read its place in the
table as a fit, and try other matrices with --data.

    python benchmarks/label_model_quality.py [--data DIR] [--programs DIR] [--texts DIR] [--json FILE]

--data takes any folder of the layouts of matrices.py; the votes of programs are then left out unless --programs is
given too.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matrices import Matrix, program_votes, read_folder
from measure import ROOT, SHARED, TEXTS, provenance
from other_models import available
from scipy.stats import rankdata

from engine.label_model import methods
from operators.moments import Moments
from operators.patterns import Patterns
from operators.schema import ABSTAIN, Floats

_DRAWS = 10
_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One method on one matrix; `score` x100, on covered rows with gold; `seconds` to fit and predict."""

    score: float
    log_loss: float
    ece: float
    seconds: float


def main() -> None:
    """Score every method on every matrix, print the table and write it with what made it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of label matrices; ../shared/data/{weak,crowd} unless given")
    parser.add_argument("--programs", type=Path, help="folder with a folder of programs a task")
    parser.add_argument("--texts", type=Path, default=SHARED / "data" / "text")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "label_model_quality.json")
    options = parser.parse_args()
    # Warnings of a fit on such matrices are expected; the table is what is asked for.
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    if options.data is None:
        matrices = [m for kind in ("weak", "crowd") for m in read_folder(SHARED / "data" / kind)]
        options.programs = options.programs or SHARED / "programs"
    else:
        matrices = read_folder(options.data)
    if options.programs is not None:
        tasks = [task for task in TEXTS if (options.programs / task).is_dir()]
        matrices += [program_votes(task, programs=options.programs, texts=options.texts) for task in tasks]
    others = available()
    if len(others) < 4:
        print("without Snorkel's or crowd-kit's models: pip install -e .[bench] brings them\n")
    scores = {matrix.name: scored(matrix, others) for matrix in matrices}
    total = summary(scores)
    print(markdown(matrices, scores, total))
    described = {m.name: described_by(m) for m in matrices}
    content = {**provenance(packages=["numpy", "cvxpy", "scipy"]), "summary": total, "matrices": described}
    content["scores"] = {n: {method: asdict(s) for method, s in found.items()} for n, found in scores.items()}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(without_nan(content), indent=1, allow_nan=False) + "\n")


def without_nan(value: object) -> object:
    """Write null for what is not a number, since JSON has no word for it."""
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and value != value else value


def scored(matrix: Matrix, others: dict[str, object]) -> dict[str, Score]:
    """Fit and score every method on one matrix."""
    k = matrix.num_classes
    covered = (matrix.votes != ABSTAIN).any(axis=1)
    found = {}
    for name in (*methods.METHODS, *others):
        start = time.perf_counter()
        if name in methods.METHODS:
            model = methods.fit(name, Moments.of(matrix.votes, k), Patterns.of(matrix.votes, k))
            soft = model.predict_proba(matrix.votes[covered])
        else:
            method = others[name]
            assert callable(method)
            try:
                soft = method(matrix.votes[covered], k)
            except Exception as error:  # another library's; it is told and ranked last, and the others go on
                print(f"{name} failed on {matrix.name}: {error}")
                found[name] = Score(score=float("nan"), log_loss=float("nan"), ece=float("nan"), seconds=0.0)
                continue
        found[name] = measured(soft, matrix.gold[covered], matrix.metric, time.perf_counter() - start)
    return found


def measured(soft: Floats, gold: np.ndarray, metric: str, seconds: float) -> Score:
    """Score soft labels of covered rows."""
    soft, gold = soft[gold >= 0], gold[gold >= 0]
    likely = soft >= soft.max(axis=1, keepdims=True) - 1e-9
    points = []
    for seed in range(_DRAWS):
        labels = np.where(likely, np.random.default_rng(seed).random(soft.shape), -1.0).argmax(axis=1)
        if metric == "accuracy":
            points.append(100 * float((labels == gold).mean()))
        else:
            hits = int(((labels == 1) & (gold == 1)).sum())
            points.append(200 * hits / max(1, int((labels == 1).sum() + (gold == 1).sum())))
    confidence, right = soft.max(axis=1), soft.argmax(axis=1) == gold
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gap = sum(abs(float((right[place == b] - confidence[place == b]).sum())) for b in range(_BINS))
    of_gold = np.maximum(soft[np.arange(len(gold)), gold], 1e-15)
    return Score(
        score=round(float(np.mean(points)), 2),
        log_loss=round(float(-np.log(of_gold).mean()), 4),
        ece=round(gap / max(1, len(gold)), 4),
        seconds=round(seconds, 3),
    )


def summary(scores: dict[str, dict[str, Score]]) -> dict[str, dict[str, float]]:
    """Mean, mean rank, wins (ties count), worst difference to majority vote, log loss and ECE of each method.

    A method that failed on a matrix is last there, and its means are over the others.
    """
    names = list(next(iter(scores.values())))
    points = np.array([[found[name].score for name in names] for found in scores.values()])
    ranks = rankdata(np.where(np.isnan(points), np.inf, -points), axis=1)
    majority = points[:, names.index("majority_vote")]
    return {
        name: {
            "mean": round(float(np.nanmean(points[:, j])), 2),
            "mean_rank": round(float(ranks[:, j].mean()), 2),
            "wins": int((points[:, j] == np.nanmax(points, axis=1)).sum()),
            "worst_vs_majority_vote": round(float(np.nanmin(points[:, j] - majority)), 2),
            "log_loss": round(float(np.nanmean([found[name].log_loss for found in scores.values()])), 3),
            "ece": round(float(np.nanmean([found[name].ece for found in scores.values()])), 3),
        }
        for j, name in enumerate(names)
    }


def described_by(matrix: Matrix) -> dict[str, object]:
    """Return the shape of a matrix."""
    covered = float((matrix.votes != ABSTAIN).any(axis=1).mean())
    return {
        "rows": len(matrix.votes),
        "programs": matrix.votes.shape[1],
        "classes": matrix.num_classes,
        "covered": round(covered, 3),
        "metric": matrix.metric,
    }


def markdown(matrices: list[Matrix], scores: dict[str, dict[str, Score]], total: dict[str, dict[str, float]]) -> str:
    """Return the table of scores and the table of summaries."""
    names = list(total)
    lines = [f"| matrix | rows | m | k | covered | {' | '.join(names)} |", "|---" * (5 + len(names)) + "|"]
    for m in matrices:
        about = described_by(m)
        cells = " | ".join(f"{scores[m.name][name].score:.1f}" for name in names)
        lines.append(
            f"| {m.name} | {about['rows']} | {about['programs']} | {about['classes']} | {about['covered']} | {cells} |"
        )
    keys = list(next(iter(total.values())))
    lines += ["", f"| method | {' | '.join(keys)} |", "|---" * (1 + len(keys)) + "|"]
    lines += [f"| {name} | {' | '.join(str(found[key]) for key in keys)} |" for name, found in total.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
