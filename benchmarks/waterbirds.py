"""Waterbirds from 256 of its CLIP RN50 embeddings: what programs over two scores make of a spurious background.

What can be had of Waterbirds here: real embeddings of 256 images with class and place, and of two prompts. The
programs of `../shared/programs/waterbirds` were each written for the two descriptions of a concept, whose embeddings
cannot be had without CLIP's weights. So all ten are given the scores of the two class prompts: this measures the
programs' thresholds and the label model on real scores, not the concepts, and says nothing about the paper's table.

    python benchmarks/waterbirds.py [--json FILE]       # a few seconds, one process, no Ray
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from measure import ROOT, SHARED, provenance

from engine.label_model.model import LabelModel
from engine.metrics import Metrics, figures
from engine.synthesis.programs import load_folder
from operators.confusion import Confusion
from operators.posterior import hard_labels, soft_labels
from operators.sandbox.pool import Limits, Sandbox
from operators.schema import ABSTAIN, Floats, Votes

CLASSES = ("landbird", "waterbird")
TEMPERATURE = 100.0
"""The one that CLIP's published models have learned, at its upper bound."""


def main() -> None:
    """Compare, print the table and write it with what made it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "waterbirds.json")
    options = parser.parse_args()
    data = np.load(SHARED / "data" / "images" / "waterbirds" / "clip_rn50_256.npz")
    scores = _scores(data["img_emb"], data["text_emb"])
    gold = data["y"].astype(int)
    groups = [f"{CLASSES[y]} on {('land', 'water')[place]}" for y, place in zip(gold, data["place"], strict=True)]
    programs, rejected = load_folder(SHARED / "programs" / "waterbirds")
    with Sandbox([p.source for p in programs], num_classes=2, limits=Limits(records=True)) as sandbox:
        outcome = sandbox.run([json.dumps(row) for row in scores.round(5).tolist()], seed=0)
    found: dict[str, Any] = {
        "images": len(gold),
        "programs": len(programs),
        "rejected": len(rejected),
        "faults": int(np.count_nonzero(outcome.faults)),
        "coverage": float((outcome.votes != ABSTAIN).any(axis=1).mean()),
        "ways": {},
    }
    print("| way | accuracy (95%) | worst group (95%) | rows | gap |\n|---|---|---|---|---|")
    for name, made in _ways(scores, outcome.votes, gold, groups).items():
        worst = made.worst_group
        assert worst is not None, "groups of twenty rows are there"
        gap = made.accuracy - worst.accuracy
        each = {group: asdict(figure) for group, figure in sorted(made.groups.items())}
        found["ways"][name] = {
            "accuracy": made.accuracy,
            "accuracy_low": made.accuracy_low,
            "accuracy_high": made.accuracy_high,
            "worst_group": asdict(worst),
            "gap": gap,
            "groups": each,
        }
        print(
            f"| {name} | {made.accuracy:.3f} ({made.accuracy_low:.3f} to {made.accuracy_high:.3f}) | {worst.name} "
            f"{worst.accuracy:.3f} ({worst.low:.3f} to {worst.high:.3f}) | {worst.rows} | {gap:.3f} |"
        )
    options.json.write_text(json.dumps({**provenance(packages=["numpy", "cvxpy"]), **found}, indent=1) + "\n")


def _scores(images: Floats, texts: Floats) -> Floats:
    """Give the softmax over the two prompts, as the engine has it for a concept; (n, 2)."""
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    logits = TEMPERATURE * images @ texts.T
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def _ways(scores: Floats, votes: Votes, gold: Any, groups: list[str]) -> dict[str, Metrics]:
    """Figures of each way to a label, over all images; rows without a vote count as the label model's largest class."""
    ours = LabelModel.fit(votes, num_classes=2)
    covered, largest = (votes != ABSTAIN).any(axis=1), int(np.argmax(ours.evidence.prior))
    answers = {"zero-shot prompting": (scores.argmax(axis=1).astype(np.int8), scores, np.ones(len(gold), bool))}
    models = {"majority vote": LabelModel.fit(votes, num_classes=2, method="majority_vote"), "label model": ours}
    for name, model in models.items():
        soft = soft_labels(votes, model.evidence)
        answers[name] = (hard_labels(soft, votes)[0], soft, covered)
    return {
        name: figures(
            Confusion.of(gold, labels, soft, known, groups=groups),
            class_names=CLASSES,
            positive_class=1,
            largest_prior=largest,
        )
        for name, (labels, soft, known) in answers.items()
    }


if __name__ == "__main__":
    main()
