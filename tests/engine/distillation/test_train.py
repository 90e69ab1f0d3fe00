"""A model learns what the soft labels say, is chosen without gold and is committed whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
from safetensors.numpy import load_file

from engine.distillation.end_model import EndModel
from engine.distillation.outcome import Distillation
from engine.distillation.train import choose_trainer, distill
from engine.errors import EngineError
from engine.task_end_model import EndModelSpec

Files = Callable[..., list[Path]]

TEXTS = [
    "great superb film the plot was scene",
    "awful dull plot the scene was film",
    "lovely fun film was the actor scene",
    "boring waste was the film actor plot",
]


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
    assert done.num_heldout == done.num_rows == 400  # few rows are held out in turn


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


def test_its_json_is_json(feature_files: Files, tmp_path: Path) -> None:
    """The record has no NaN, even where nothing was held out; one candidate stands for a regularization."""
    done = _distill(feature_files(heldout=1.0), tmp_path / "model")
    content = json.loads(json.dumps(done.to_json(), allow_nan=False))
    assert content["heldout_loss"] is None
    assert len(content["candidates"]) == 1
    assert any("too few to hold some out" in warning for warning in done.warnings)
    assert EndModel.load(tmp_path / "model").predict(TEXTS).tolist() == [1, 0, 1, 0]


def test_a_collapsed_candidate_is_passed_over(feature_files: Files, tmp_path: Path) -> None:
    """With a rare class, strong regularization loses it; where a weak one is there too, that one is taken."""
    files = feature_files(num_rows=800, share=0.1, noise=0.0)
    kept = _distill(files, tmp_path / "both", regularization=(10.0, 1e-4))
    assert kept.regularization == 1e-4
    assert kept.warnings == ()


def test_a_collapse_is_noticed_and_mended(feature_files: Files, tmp_path: Path) -> None:
    """Where all that the task allows loses a class, a safer setting is trained, taken and told."""
    files = feature_files(num_rows=800, share=0.1, noise=0.0)
    done = _distill(files, tmp_path / "model", regularization=(10.0,))
    assert "weaker regularization" in done.setting
    assert done.regularization < 10.0
    assert done.predicted_shares["good"] == pytest.approx(0.1, abs=0.05)
    (warning,) = done.warnings
    assert "hardly ever predicts good on held-out rows" in warning
    assert "trained again with plain cross entropy" in warning
    assert "predicted shares 1.00/0.00" in warning
    assert EndModel.load(tmp_path / "model").predict(TEXTS).tolist() == [1, 0, 1, 0]


def test_the_model_says_what_held_out_soft_labels_say(feature_files: Files, tmp_path: Path) -> None:
    """A model that is held back has too little confidence; its temperature makes it that of the soft labels."""
    done = _distill(feature_files(num_rows=2000, noise=0.0), tmp_path / "model", regularization=(0.03,))
    assert done.temperature < 0.9
    assert json.loads((tmp_path / "model" / "config.json").read_text())["temperature"] == done.temperature
    assert sum(found.rows for found in done.reliability) == done.num_heldout
    told = [found for found in done.reliability if found.confidence is not None]
    gap = sum(found.rows * abs(found.confidence - (found.soft_label or 0)) for found in told if found.confidence)
    assert gap / done.num_heldout < 0.05


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "symmetric"},
        {"loss": "generalized"},
        {"label_temperature": 0.5},
        {"label_smoothing": 0.1},
        {"confidence_weight": 2.0},
        {"balance_classes": True},
    ],
)
def test_every_option_learns_and_changes_the_model(
    feature_files: Files, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Each way to weigh rows gives a model that is right about plain texts, and another one than the default."""
    files = feature_files(share=0.3)
    _distill(files, tmp_path / "plain")
    done = _distill(files, tmp_path / "other", **options)
    assert EndModel.load(tmp_path / "other").predict(TEXTS).tolist() == [1, 0, 1, 0]
    plain, other = (load_file(tmp_path / name / "model.safetensors")["weight"] for name in ("plain", "other"))
    if options != {"confidence_weight": 2.0}:  # All planted rows are equally sure, so that all weigh the same.
        assert not np.allclose(plain, other, atol=1e-3)
    assert done.setting == ""


def test_uncovered_rows_teach_words_that_covered_ones_lack(feature_files: Files, tmp_path: Path) -> None:
    """Self-training is off unless asked for, and learns from rows without a soft label of which the model is sure."""
    files = feature_files(num_rows=600, noise=0.0, uncovered=200)
    off = _distill(files, tmp_path / "off")
    assert (off.self_training, off.num_rows) == (None, 600)
    done = _distill(files, tmp_path / "on", self_training=True, label_temperature=0.3)
    assert done.self_training is not None
    assert done.num_rows == 600
    assert done.self_training.rows <= 200
    plain, other = (load_file(tmp_path / name / "model.safetensors")["weight"] for name in ("off", "on"))
    assert plain.shape == other.shape


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


@pytest.mark.parametrize(
    ("own", "others", "trainer", "reason"),
    [
        (True, True, "process", "in this process, which has a GPU"),
        (False, True, "ray", "the cluster has a GPU to fine-tune on, and this process has none"),
        (False, False, "process", "neither it nor a cluster"),
    ],
)
def test_an_encoder_is_tuned_where_a_gpu_is(
    feature_files: Files, monkeypatch: pytest.MonkeyPatch, own: bool, others: bool, trainer: str, reason: str
) -> None:
    """Little data for an encoder goes to the cluster where it alone has a GPU; the reason is the true one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: own)
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0} | ({"GPU": 1.0} if others else {}))
    spec = EndModelSpec(head="fine_tune", features="encoder", encoder="folder")
    found = choose_trainer(feature_files(), spec)
    assert found[:2] == (trainer, 1)
    assert reason in found[2]
    assert choose_trainer(feature_files(), EndModelSpec(head="mlp"))[0] == "process"
