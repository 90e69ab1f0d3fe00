"""Waterbirds from 256 of its CLIP RN50 embeddings: what programs over two scores make of a spurious background.

What can be had of Waterbirds here: real embeddings of 256 images with class and place, and of two prompts. The
programs of `../shared/programs/waterbirds` were each written for the two descriptions of a concept, whose embeddings
cannot be had without CLIP's weights. So all ten are given the scores of the two class prompts: this measures the
programs' thresholds and the label model on real scores, not the concepts, and says nothing about the paper's table.

    python benchmarks/waterbirds.py        # a few seconds, one process, no Ray
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from engine.label_model.model import LabelModel
from engine.metrics import figures
from engine.synthesis.programs import load_folder
from operators.confusion import Confusion
from operators.posterior import hard_labels, soft_labels
from operators.sandbox.pool import Limits, Sandbox
from operators.schema import ABSTAIN

SHARED = Path(__file__).parents[1] / ".." / "shared"
CLASSES = ("landbird", "waterbird")
TEMPERATURE = 100.0
"""The one that CLIP's published models have learned, at its upper bound."""


def main() -> None:
    """Print the table."""
    data = np.load(SHARED / "data" / "images" / "waterbirds" / "clip_rn50_256.npz")
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (data["img_emb"], data["text_emb"]))
    logits = TEMPERATURE * images @ texts.T
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    gold = data["y"].astype(int)
    groups = [f"{CLASSES[y]} on {('land', 'water')[place]}" for y, place in zip(gold, data["place"], strict=True)]
    programs, rejected = load_folder(SHARED / "programs" / "waterbirds")
    with Sandbox([p.source for p in programs], num_classes=2, limits=Limits(records=True)) as sandbox:
        outcome = sandbox.run([json.dumps(row) for row in scores.round(5).tolist()], seed=0)
    votes = outcome.votes
    model = LabelModel.fit(votes, num_classes=2)
    zero_shot = scores.argmax(axis=1).astype(np.int8)
    soft = soft_labels(votes, model.evidence)
    labels, _ = hard_labels(soft, votes)
    covered = (votes != ABSTAIN).any(axis=1)
    answers = {
        "zero-shot prompting": (zero_shot, scores, np.ones(len(gold), bool)),
        "ten programs, label model": (labels, soft, covered),
    }
    print(
        f"{len(gold)} images; {len(programs)} programs, {len(rejected)} rejected, "
        f"{np.count_nonzero(outcome.faults)} faults"
    )
    print(f"{'':28} accuracy  worst group                    gap")
    for name, (predicted, probabilities, known) in answers.items():
        confusion = Confusion.of(gold, predicted, probabilities, known, groups=groups)
        made = figures(
            confusion, class_names=CLASSES, positive_class=1, largest_prior=int(np.argmax(model.evidence.prior))
        )
        worst = made.worst_group
        assert worst is not None, "groups of twenty rows are there"
        print(
            f"{name:28} {made.accuracy:.3f}     {worst.accuracy:.3f} {worst.name} ({worst.rows})  "
            f"{made.accuracy - worst.accuracy:.3f}"
        )
        for group, row in sorted(made.groups.items()):
            print(f"{'':30}{group}: {row.accuracy:.3f} of {row.rows}")


if __name__ == "__main__":
    main()
