"""A model learns what the soft labels say, is chosen without gold and is committed whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.distillation.end_model import EndModel
from engine.distillation.train import Distillation, choose_trainer, distill
from engine.errors import EngineError
from engine.task_parts import EndModelSpec

Files = Callable[..., list[Path]]

TEXTS = ["a great superb film", "an awful dull plot", "lovely fun", "boring waste"]


def _distill(files: list[Path], out: Path, **options: Any) -> Distillation:
    spec = EndModelSpec(**{"num_features_log2": 12, "max_ngram": 1} | options)
    return distill(files, spec=spec, class_names=("bad", "good"), seed=3, out=out, facts={"task": "films"})


def test_the_model_is_better_than_its_labels(feature_files: Files, tmp_path: Path) -> None:
    """One soft label in five is wrong, and the model says of each text what its words say."""
    done = _distill(feature_files(), tmp_path / "model")
    model = EndModel.load(tmp_path / "model")
    assert model.predict(TEXTS).tolist() == [1, 0, 1, 0]
    assert model.predict_proba(TEXTS).sum(axis=1) == pytest.approx(1)
    assert (done.trainer, done.num_rows, done.warnings) == ("process", 400, ())
    assert sum(done.predicted_shares.values()) == pytest.approx(1)


def test_the_best_heldout_loss_is_chosen(feature_files: Files, tmp_path: Path) -> None:
    """Regularization and epoch are those of the smallest held-out loss among all candidates."""
    done = _distill(feature_files(), tmp_path / "model")
    best = min(done.candidates, key=lambda c: c.heldout_loss)
    assert (done.regularization, done.epoch, done.heldout_loss) == (best.regularization, best.epoch, best.heldout_loss)
    assert {c.regularization for c in done.candidates} == set(EndModelSpec().regularization)


def test_two_trainings_give_the_same_bytes(feature_files: Files, tmp_path: Path) -> None:
    """Same files, same weights, bit for bit."""
    files = feature_files()
    for name in ("one", "two"):
        _distill(files, tmp_path / name)
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    assert (tmp_path / "one" / "config.json").read_bytes() == (tmp_path / "two" / "config.json").read_bytes()


def test_how_rows_are_cut_into_files_does_not_matter(feature_files: Files, tmp_path: Path) -> None:
    """One file or seven, in order: the same model."""
    for count in (1, 7):
        _distill(feature_files(num_files=count), tmp_path / str(count))
    one, seven = (EndModel.load(tmp_path / name).predict_proba(TEXTS) for name in ("1", "7"))
    assert np.array_equal(one, seven)


def test_the_folder_is_replaced_whole(feature_files: Files, tmp_path: Path) -> None:
    """A second training takes the place of the first, and what a killed one left beside it goes."""
    files, out = feature_files(), tmp_path / "run" / "model"
    _distill(files, out)
    (out.parent / "model.tmp-new-0").mkdir()
    (out / "left.txt").write_text("of the first")
    _distill(files, out, regularization=(1e-3,))
    assert [path.name for path in out.parent.iterdir()] == ["model"]
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert json.loads((out / "config.json").read_text())["training"]["regularization"] == 1e-3


def test_the_card_says_what_it_is(feature_files: Files, tmp_path: Path) -> None:
    """The model card names task, classes, rows and that no gold was read."""
    _distill(feature_files(), tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    for part in ("films", "| bad |", "400, of which", "no gold label"):
        assert part in card


def test_its_json_is_json(feature_files: Files, tmp_path: Path) -> None:
    """The record has no NaN, even where nothing was held out; one candidate stands for a regularization."""
    done = _distill(feature_files(heldout=0.0), tmp_path / "model")
    content = json.loads(json.dumps(done.to_json(), allow_nan=False))
    assert content["heldout_loss"] is None
    assert len(content["candidates"]) == 1
    assert any("too few to hold some out" in warning for warning in done.warnings)
    assert EndModel.load(tmp_path / "model").predict(TEXTS).tolist() == [1, 0, 1, 0]


def test_a_collapsed_candidate_is_passed_over(feature_files: Files, tmp_path: Path) -> None:
    """With a rare class and only strong regularization the model loses it, and says so; with a weak one it does not."""
    files = feature_files(num_rows=800, share=0.1, noise=0.0)
    lost = _distill(files, tmp_path / "strong", regularization=(10.0,))
    assert lost.predicted_shares["good"] == 0
    assert any("hardly ever predicts good" in warning for warning in lost.warnings)
    kept = _distill(files, tmp_path / "both", regularization=(10.0, 1e-4))
    assert kept.regularization == 1e-4
    assert kept.warnings == ()


def test_no_rows_is_an_error(feature_files: Files, tmp_path: Path) -> None:
    """Where no row is covered there is nothing to distill from, and the message says what to do."""
    with pytest.raises(EngineError, match="add programs"):
        _distill(feature_files(num_rows=0, num_files=1), tmp_path / "model")


@pytest.mark.parametrize(
    ("options", "trainer", "workers"),
    [
        ({}, "process", 1),
        ({"trainer": "ray"}, "ray", 1),
        ({"num_workers": 2}, "ray", 2),
        ({"num_workers": 9}, "ray", 3),
    ],
)
def test_which_trainer(feature_files: Files, options: dict[str, Any], trainer: str, workers: int) -> None:
    """Small data trains in this process unless the task asks for workers; never more workers than files."""
    found = choose_trainer(feature_files(), EndModelSpec(**options))
    assert found[:2] == (trainer, workers)
    assert found[2]
