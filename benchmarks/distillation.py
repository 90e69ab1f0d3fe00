"""Distilled models beside what they learn from and what gold labels would give, on six corpora with real programs.

Protocol: the label model is fitted on the training rows' votes and a model is distilled from its soft labels, both
with the defaults of a task file; scores are over all test rows, covered or not (accuracy; F1 of class 1 for sms), by
the definitions of the report. The ceiling is the same model trained on the gold labels of all training rows, with
features left out of them and without, whichever is better on the test rows, since gold has no programs' words to give
away. Each of five seeds draws other held-out rows and, where a corpus has no split of its own, other test rows. Gold
scores the end and decides nothing else.

    python benchmarks/distillation.py [--tasks a,b] [--seeds N] [--kinds a,b --encoder DIR --rows N] [--json FILE]

What is not named keeps its place in --json, as long as the settings are the same.

The kind `encoder` is that of --encoder, on at most --rows training rows and as many test rows of a corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from distillation_data import PAPER, SOURCES, Corpus, read_corpus, write_rows
from measure import ROOT, SHARED, provenance

from engine.distillation.characters import SAMPLE_ROWS, try_characters
from engine.distillation.rows import feature_spec
from engine.distillation.train import distill
from engine.label_model import methods
from engine.metrics import figures
from engine.task_end_model import EndModelSpec
from operators.confusion import Confusion
from operators.end_model import FeatureModel
from operators.features import Featurizer, Sparse
from operators.models import load_model
from operators.moments import Moments
from operators.patterns import Patterns
from operators.posterior import hard_labels, soft_labels
from operators.schema import ABSTAIN, Floats, Votes


def main() -> None:
    """Score every corpus, print the table and write it with what made it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(SOURCES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--kinds", default="hashed_ngrams", help="of features: hashed_ngrams, encoder or both")
    parser.add_argument("--encoder", help="folder of a transformers encoder, for that kind")
    parser.add_argument("--rows", type=int, default=2000, help="training rows for the encoder, and test rows, at most")
    parser.add_argument("--set", default="{}", help="keys of `end_model`, as JSON")
    parser.add_argument("--programs", type=Path, default=SHARED / "programs")
    parser.add_argument("--texts", type=Path, default=SHARED / "data" / "text")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "alchemist-distillation")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "distillation.json")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    settings = json.loads(options.set)
    made: dict[str, dict[str, Any]] = {
        "hashed_ngrams": {},
        "encoder": {"features": "encoder", "encoder": options.encoder},
    }
    kinds = {kind: EndModelSpec(**made[kind], **settings) for kind in options.kinds.split(",")}
    known = json.loads(options.json.read_text()) if options.json.is_file() else {}
    runs: dict[str, list[dict[str, Any]]] = known.get("runs", {}) if known.get("settings") == settings else {}
    for name in options.tasks.split(","):
        corpus = read_corpus(name, data=options.texts, programs=options.programs, cache=options.cache)
        for kind, spec in kinds.items():
            limit = options.rows if kind == "encoder" else None
            features = featurized(corpus, spec, limit=limit, cache=options.cache)
            key = f"{name}/{kind}"
            runs[key] = [scored(corpus, features, spec, seed=seed) for seed in range(options.seeds)]
            print(line(key, runs[key]), flush=True)
            content = {**provenance(packages=["numpy", "scipy", "scikit-learn"]), "settings": settings, "paper": PAPER}
            content |= {"bars": bars(runs), "runs": runs}
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    print(json.dumps(bars(runs), indent=1))


def featurized(
    corpus: Corpus, spec: EndModelSpec, *, limit: int | None, cache: Path
) -> tuple[Sparse, npt.NDArray[np.bool_]]:
    """Featurize a corpus once.

    Returns:
        (n, d) features, and (n,) which rows take part.
    """
    n = len(corpus.texts)
    used = np.ones(n, bool)
    if limit is not None and n > 2 * limit:
        used = np.zeros(n, bool)
        used[np.random.default_rng(0).choice(n, 2 * limit, replace=False)] = True
    texts = [text if take else None for text, take in zip(corpus.texts, used, strict=True)]
    if limit is None:
        return Featurizer(feature_spec(spec)).transform(texts), used
    digest = hashlib.sha256(repr((spec.encoder, limit, corpus.texts)).encode()).hexdigest()[:16]
    kept = cache / f"embeddings-{corpus.name}-{digest}.npz"
    if not kept.is_file():
        made = Featurizer(feature_spec(spec)).transform([text for text in texts if text is not None])
        whole = sp.lil_matrix((n, made.shape[1]), dtype=np.float32)
        whole[np.flatnonzero(used)] = made
        sp.save_npz(kept, whole.tocsr())
    return sp.load_npz(kept).tocsr(), used


def scored(
    corpus: Corpus, features: tuple[Sparse, npt.NDArray[np.bool_]], spec: EndModelSpec, *, seed: int
) -> dict[str, Any]:
    """Fit, distill and score with one seed."""
    matrix, used = features
    k = corpus.source.num_classes
    is_test, folds = corpus.is_test(seed) & used, corpus.folds(seed)
    train = ~corpus.is_test(seed) & used
    votes = corpus.votes
    covered = (votes >= 0).any(axis=1)
    moments, patterns = Moments.of(votes[train], k), Patterns.of(votes[train], k)
    models = {name: methods.fit(name, moments, patterns) for name in ("majority_vote", "moment_matching")}
    soft = {name: soft_labels(votes, model.evidence) for name, model in models.items()}
    found: dict[str, Any] = {"seed": seed, "train_rows": int(train.sum()), "test_rows": int(is_test.sum())}
    found["covered"] = float(covered[train].mean())
    for name, key in (("majority_vote", "majority_vote"), ("moment_matching", "label_model")):
        evidence = models[name].evidence
        found[key] = score(corpus, soft[name][is_test], votes[is_test], is_test, prior=int(evidence.prior.argmax()))
    prior = int(models["moment_matching"].evidence.prior.argmax())
    taught, gold = train & covered, np.eye(k)[corpus.gold]
    whole = spec.model_copy(update={"feature_dropout": 0.0})
    ways = [
        ("distilled", soft["moment_matching"], taught, spec),
        *((key, gold, train, one) for key, one in zip(CEILINGS, (spec, whole), strict=True)),
    ]
    for key, labels, rows, one in ways:
        made, told = trained(matrix, labels, rows=rows, folds=folds, spec=one, k=k, test=is_test, seed=seed)
        # Every row has a prediction: as if one program voted on all.
        found[key] = score(corpus, made, made.argmax(axis=1).astype(np.int8)[:, None], is_test, prior=0)
        if key == "distilled":
            found["choice"] = {
                **{name: told[name] for name in TOLD},
                "label_model_shares": shares(soft["moment_matching"][is_test], votes[is_test], prior=prior),
                "predicted_shares": (np.bincount(made.argmax(axis=1), minlength=k) / len(made)).round(4).tolist(),
            }
    return found


def shares(soft: Floats, votes: Votes, *, prior: int) -> list[float]:
    """Return the (k,) share of rows that get each class, an uncovered one the class of the largest prior."""
    labels, _ = hard_labels(soft, votes)
    labels = np.where(labels == ABSTAIN, prior, labels)
    return [round(float(share), 4) for share in np.bincount(labels, minlength=soft.shape[1]) / len(labels)]


def trained(
    matrix: Sparse,
    labels: Floats,
    *,
    rows: npt.NDArray[np.bool_],
    folds: npt.NDArray[np.uint8],
    spec: EndModelSpec,
    k: int,
    test: npt.NDArray[np.bool_],
    seed: int,
) -> tuple[Floats, Mapping[str, Any]]:
    """Distill from `labels` as a run would; returns probabilities of the test rows and what is told of the training."""
    chosen = np.flatnonzero(rows)
    features = feature_spec(spec)
    characters = ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        if spec.tries_characters:
            some = np.unique(np.linspace(0, len(chosen) - 1, min(SAMPLE_ROWS, len(chosen))).round().astype(int))
            write_rows(path, matrix, labels, folds, rows=chosen[some])
            trial = try_characters(
                [path], features=features, num_classes=k, regularization=spec.regularization, epochs=spec.passes
            )
            features, characters = feature_spec(spec, characters=trial.help), str(trial)
            matrix = matrix[:, : Featurizer(features).num_features]
        write_rows(path, matrix, labels, folds, rows=chosen)
        names = [str(y) for y in range(k)]
        done = distill(
            [path], spec=spec, class_names=names, seed=seed, out=Path(folder) / "model", facts={}, features=features
        )
        model = load_model(Path(folder) / "model")
        assert isinstance(model, FeatureModel), "a fine-tuned encoder reads texts, and has no features to score"
        return model.probabilities(matrix[np.flatnonzero(test)]), {**done.to_json(), "characters": characters}


def score(corpus: Corpus, soft: Floats, votes: Votes, rows: npt.NDArray[np.bool_], *, prior: int) -> dict[str, float]:
    """Score test rows against gold; the report's definitions, x100."""
    k = corpus.source.num_classes
    labels, _ = hard_labels(soft, votes)
    counts = Confusion.of(corpus.gold[rows], labels, soft, (votes != ABSTAIN).any(axis=1))
    told = figures(counts, class_names=[str(y) for y in range(k)], positive_class=k - 1, largest_prior=prior)
    value = told.accuracy if corpus.source.metric == "accuracy" else told.f1
    assert value is not None
    return {
        "score": round(100 * value, 3),
        "log_loss": round(told.log_loss, 4),
        "ece": round(told.calibration_error or 0.0, 4),
    }


def mean(runs: list[dict[str, Any]], key: str, what: str = "score") -> float:
    """Mean over the seeds."""
    return float(np.mean([run[key][what] for run in runs]))


def spread(runs: list[dict[str, Any]], key: str) -> float:
    """Standard deviation over the seeds."""
    return float(np.std([run[key]["score"] for run in runs], ddof=1)) if len(runs) > 1 else 0.0


def ceiling(runs: list[dict[str, Any]]) -> str:
    """Say which of the two ways to train on gold is better."""
    return max(CEILINGS, key=lambda key: mean(runs, key))


def bars(runs: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """What is claimed of n-grams: never .5 points under the label model, better on at least four, no class lost.

    A class is lost where fewer than a quarter of the rows get it that the label model gives it, both of all test rows.
    """
    plain = {key.split("/")[0]: found for key, found in runs.items() if key.endswith("/hashed_ngrams")}
    gains = {name: round(mean(f, "distilled") - mean(f, "label_model"), 2) for name, f in plain.items()}
    lost = [
        f"{name}, seed {run['seed']}, class {y}"
        for name, found in plain.items()
        for run in found
        for y, (told, made) in enumerate(
            zip(run["choice"]["label_model_shares"], run["choice"]["predicted_shares"], strict=True)
        )
        if told >= 0.02 and made < 0.25 * told
    ]
    return {
        "gain_over_label_model": gains,
        "at_most_half_a_point_under": all(gain >= -0.5 for gain in gains.values()),
        "better_on": sum(gain > 0 for gain in gains.values()),
        "collapsed": lost,
        "under_same_model_on_gold": {
            name: round(mean(f, "ceiling") - mean(f, "distilled"), 2) for name, f in plain.items()
        },
        "under_ceiling": {name: round(mean(f, ceiling(f)) - mean(f, "distilled"), 2) for name, f in plain.items()},
    }


def line(key: str, runs: list[dict[str, Any]]) -> str:
    """One row of the table."""
    cells = [f"{mean(runs, k):.1f} ± {spread(runs, k):.1f}" for k in (*METHODS, ceiling(runs))]
    paper = PAPER[key.split("/")[0]]
    log_loss = f"{mean(runs, 'label_model', 'log_loss'):.3f} / {mean(runs, 'distilled', 'log_loss'):.3f}"
    told = f"{100 * paper['label_model']:.0f} / {100 * paper['end_model']:.1f}"
    return f"| {key} | {runs[0]['train_rows']} | {runs[0]['covered']:.2f} | {' | '.join(cells)} | {log_loss} | {told} |"


TOLD = ("regularization", "epoch", "heldout_loss", "warnings", "seconds", "characters")
METHODS = ("majority_vote", "label_model", "distilled")
CEILINGS = ("ceiling", "ceiling_of_whole_rows")


if __name__ == "__main__":
    main()
