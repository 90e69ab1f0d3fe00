"""The model card says what the model was made from, what gold says of it, and where it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

from engine.distillation.card import model_card
from engine.distillation.origin import Measured, Origin, ProgramOrigin
from engine.distillation.train import distill
from engine.metrics import figures
from engine.task_end_model import EndModelSpec
from operators.confusion import Confusion
from operators.end_model import EMBEDDED_BY, FIELDS, read_config

Files = Callable[..., list[Path]]

ORIGIN = Origin(
    files=("a.csv", "b.csv"),
    fingerprint="0123456789abcdef",
    rows=500,
    test_rows=100,
    programs=(
        ProgramOrigin(name="links", digest="c" * 64, coverage=0.25, model="gpt-5-mini"),
        ProgramOrigin(name="praise", digest="d" * 64, coverage=0.5, model=None),
    ),
    coverage=0.625,
    label_model="moment_matching",
    gold_rows=0,
    annotated_rows=0,
    annotators=(),
)


def written(files: list[Path], out: Path, *, facts: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Distill with ORIGIN; returns the config, whose card is README.md."""
    spec = EndModelSpec(**{"num_features_log2": 12, "max_ngram": 1} | options)
    told = {"task": "films", "instruction": "Is it | good?", **(facts or {})}
    distill(files, spec=spec, class_names=("bad", "good"), seed=3, out=out, facts=told, origin=ORIGIN)
    return read_config(out)


def test_it_says_what_the_model_was_made_from(feature_files: Files, tmp_path: Path) -> None:
    """Corpus, programs with the digests of their sources, coverage, label model, and that no gold was read."""
    config = written(feature_files(), tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert card == model_card(config, origin=ORIGIN, measured=None)
    for line in (
        "# Distilled model: films",
        "| instruction | Is it \\| good? |",
        "| corpus | a.csv, b.csv |",
        "| rows | 500, of which 100 are test rows that nothing learns from |",
        "| fingerprint of the corpus | 0123456789abcdef (paths, sizes and times of its files) |",
        "| label model | moment_matching |",
        "| coverage | 0.6250 of the rows have a vote |",
        "| gold labels in fitting the label model | none |",
        f"| links | {'c' * 16} | 0.2500 | gpt-5-mini |",
        f"| praise | {'d' * 16} | 0.5000 | not stated |",
        "| rows | 400, all of them held out in turn |",
        "| left out in training | 70% of each row's features, at random |",
        f"| held-out loss | {config['training']['heldout_loss']:.4f}, of rows with as much left out |",
        "- No program votes on 37.5% of the rows: it was taught none like them, and answers all the same.",
        "Not measured on gold labels: the run has not got that far.",
    ):
        assert line in card.splitlines()
    assert "no gold label was read to make it" in card
    assert "labeled directly" not in card


def test_hugging_face_reads_its_front_matter(feature_files: Files, tmp_path: Path) -> None:
    """Library, task and tags stand where the hub looks for them; what is not known is left out."""
    config = written(feature_files(), tmp_path / "model")
    told = ModelCard.load(tmp_path / "model" / "README.md").data.to_dict()
    assert told == {
        "library_name": "alchemist-labeling",
        "pipeline_tag": "text-classification",
        "tags": ["weak-supervision", "programmatic-labeling", "distillation"],
    }
    for key, kind in ((EMBEDDED_BY, "image"), (FIELDS, "tabular")):
        more = {EMBEDDED_BY: {"use": "a:B", "options": {}}, FIELDS: {"columns": ["age", "job"], "as_json": False}}
        card = model_card(config | {"facts": {key: more[key]}}, origin=None, measured=None)
        assert ModelCard(card).data.pipeline_tag == f"{kind}-classification"
    assert "predict([{'age': None, 'job': None}])" in card
    tuned = config | {"kind": "fine_tune", "training": config["training"] | {"head": "fine_tune"}}
    assert ModelCard(model_card(tuned, origin=None, measured=None)).data.library_name == "transformers"


def test_gold_and_a_language_model_in_the_labels_are_told(feature_files: Files, tmp_path: Path) -> None:
    """Where gold was handed over or rows were labeled directly, the card does not say that there was none of it."""
    config = written(feature_files(), tmp_path / "model")
    changes = {"gold_rows": 40, "annotated_rows": 7, "annotators": ("gpt-5",)}
    origin = Origin(**{name: getattr(ORIGIN, name) for name in Origin.__slots__} | changes)
    card = model_card(config, origin=origin, measured=None)
    assert "40 gold labels that the user handed over went into fitting the label model" in card
    assert "| gold labels in fitting the label model | 40 |" in card
    assert "| labeled directly | 7 rows, by gpt-5, in the place of programs |" in card
    assert "no gold label was read" not in card


def test_what_gold_says_is_told(feature_files: Files, tmp_path: Path) -> None:
    """Figures of label model and distilled model stand side by side, the weakest class and group among the limits."""
    config = written(feature_files(), tmp_path / "model")
    gold, groups = np.repeat([0, 1], 50), ["a"] * 70 + ["b"] * 30
    found = {}
    for way, wrong in (("label_model", 5), ("end_model", 20)):
        soft = np.tile([0.1, 0.9], (100, 1))
        soft[: 50 - wrong] = [0.9, 0.1]
        confusion = Confusion.of(gold, soft.argmax(axis=1), soft, np.ones(100, bool), groups)
        found[way] = figures(confusion, class_names=("bad", "good"), positive_class=1, largest_prior=0)
    card = model_card(config, origin=ORIGIN, measured=Measured(figures=found, reason=""))
    assert "On 100 test rows with gold labels" in card
    assert "| accuracy | 0.9500 | 0.8000 |" in card
    assert f"| F1 | {found['label_model'].f1:.4f} | {found['end_model'].f1:.4f} |" in card
    assert "- Of the 50 test rows of class bad it finds 60.0%, the least of any class." in card
    assert f"- Its worst group is a: accuracy {50 / 70:.4f} on 70 test rows." in card
    assert "not known" not in card
    unknown = model_card(config, origin=ORIGIN, measured=Measured(figures={}, reason="the task names no gold column"))
    assert "- Its accuracy is not known (the task names no gold column): measure it on gold labels" in unknown


@pytest.mark.parametrize(
    ("heldout", "options", "learned"),
    [(0.2, {}, True), (0.2, {"head": "mlp", "epochs": 1}, False), (1.0, {}, False)],
)
def test_held_out_rows_that_were_learned_from_are_told(
    feature_files: Files, tmp_path: Path, heldout: float, options: dict[str, Any], learned: bool
) -> None:
    """The linear model learns from few held-out rows in the end, and its losses are then not of what is shipped."""
    config = written(feature_files(heldout=heldout), tmp_path / "model", **options)
    card = (tmp_path / "model" / "README.md").read_text()
    assert config["training"]["learned_heldout"] is learned
    assert ("- Held-out rows were learned from in the end" in card) is learned
    assert ("| held-out loss | none, as no row was held out |" in card) is (heldout == 1)
    assert ("its confidence is not calibrated" in card) is (heldout == 1)
    assert "nan" not in card.split()
