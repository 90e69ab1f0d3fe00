"""A hidden layer is trained, chosen, calibrated and kept as the linear head is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from engine.distillation.checkpoints import Checkpoints
from engine.distillation.choice import Choice
from engine.distillation.end_model import EndModel
from engine.distillation.groups import Alone
from engine.distillation.loop import Progress
from engine.distillation.losses import Loss
from engine.distillation.minibatch import Trainer
from engine.distillation.network_spec import NetworkProgress, NetworkSpec
from engine.distillation.networks import Mlp, flat
from engine.distillation.outcome import Distillation
from engine.distillation.rows import read_rows
from engine.distillation.train import distill
from engine.task_end_model import EndModelSpec
from operators.mlp import MlpModel
from operators.models import load_model

pytestmark = pytest.mark.slow

Files = Callable[..., list[Path]]

TEXTS = [
    "great superb film the plot was scene",
    "awful dull plot the scene was film",
    "lovely fun film was the actor scene",
    "boring waste was the film actor plot",
]


def _distill(files: list[Path], out: Path, *, seed: int = 3, **options: Any) -> Distillation:
    given: dict[str, Any] = {"num_features_log2": 12, "max_ngram": 1, "head": "mlp", "regularization": (1e-3, 1e-4)}
    spec = EndModelSpec(**given | {"hidden_units": 16, "epochs": 6} | options)
    return distill(files, spec=spec, class_names=("bad", "good"), seed=seed, out=out, facts={"task": "films"})


def test_a_hidden_layer_is_better_than_its_labels(feature_files: Files, tmp_path: Path) -> None:
    """One soft label in five is wrong, and the folder's model says of each text what its words say."""
    done = _distill(feature_files(), tmp_path / "model")
    model = EndModel.load(tmp_path / "model")
    assert model.predict(TEXTS).tolist() == [1, 0, 1, 0]
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["kind"], config["temperature"]) == ("mlp", done.temperature)
    assert load_file(tmp_path / "model" / "model.safetensors")["first"].shape[1] == 16
    best = min(done.candidates, key=lambda c: c.heldout_loss)
    assert (done.regularization, done.epoch) == (best.regularization, best.epoch)
    assert "hidden layer" in (tmp_path / "model" / "README.md").read_text()


def test_the_folder_predicts_what_was_chosen(feature_files: Files, tmp_path: Path) -> None:
    """The confidence of held-out rows, as told, is that of the model that is read from the folder."""
    files = feature_files()
    done = _distill(files, tmp_path / "model")
    model = load_model(str(tmp_path / "model"))
    assert isinstance(model, MlpModel)
    _, heldout, _ = read_rows(files, num_features=len(model.scales), num_classes=2)
    found = model.probabilities(heldout.features)
    told = sum(b.rows * (b.confidence or 0) for b in done.reliability) / done.num_heldout
    assert found.max(axis=1).mean() == pytest.approx(told, abs=1e-5)


def test_the_seed_settles_the_weights(feature_files: Files, tmp_path: Path) -> None:
    """Same rows and seed, same bytes; another seed, other weights."""
    files = feature_files()
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        _distill(files, tmp_path / name, seed=seed)
    one, two, other = ((tmp_path / n / "model.safetensors").read_bytes() for n in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_a_killed_training_goes_on_and_ends_the_same(
    feature_files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after two of three regularizations, it takes the third alone and gives the same bytes."""

    class KilledError(Exception):
        pass

    files, path = feature_files(), (1e-2, 1e-3, 1e-4)
    _distill(files, tmp_path / "whole" / "model", regularization=path)
    save, train_round, rounds = Checkpoints.save, Trainer._round, []

    def save_and_die(self: Checkpoints, progress: Progress) -> None:
        save(self, progress)
        if progress.rounds == 2:
            raise KilledError

    def counted(self: Trainer, number: int, *args: Any) -> None:
        rounds.append(number)
        train_round(self, number, *args)

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", save_and_die)
        with pytest.raises(KilledError):
            _distill(files, tmp_path / "cut" / "model", regularization=path)
    monkeypatch.setattr(Trainer, "_round", counted)
    _distill(files, tmp_path / "cut" / "model", regularization=path)
    assert rounds == [2]
    whole, cut = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut
    assert [found.name for found in (tmp_path / "cut").iterdir()] == ["model"], "the checkpoint was left behind"


def test_parts_of_a_step_add_up_to_it(feature_files: Files, tmp_path: Path) -> None:
    """A step in three parts is the step at once, but for rounding and what dropout leaves out."""

    class Still(Mlp):
        def __init__(self, *args: Any, **options: Any) -> None:
            torch.manual_seed(0)
            super().__init__(*args, **options)

        def train(self, mode: bool = True) -> Still:
            return super().train(False)

    rows, heldout, _ = read_rows(feature_files(num_rows=100), num_features=2**12 + 128, num_classes=2)
    found = []
    for accumulate in (1, 3):
        spec = NetworkSpec(seed=0, hidden=8, encoder=None, learning_rate=0.01, batch_size=20, accumulate=accumulate)
        network = Still(rows.features.shape[1], hidden=8, num_classes=2)
        trainer = Trainer(network, rows, heldout, spec=spec, epochs=1, loss=Loss(), group=Alone(), attempt=0)
        progress = NetworkProgress(rounds=0, weights=flat(network), choice=Choice.none(flat(network)))
        trainer.train((1e-4,), progress, lambda _: None)
        found.append(progress.weights)
    assert not np.array_equal(found[0], found[1]), "the parts were not computed apart"
    assert np.allclose(found[0], found[1], atol=1e-4)


def test_a_lost_class_is_noticed_and_mended(feature_files: Files, tmp_path: Path) -> None:
    """Where all that the task allows loses a class, a safer setting is trained, taken and told."""
    files = feature_files(num_rows=800, share=0.1, noise=0.0)
    done = _distill(files, tmp_path / "model", regularization=(3.0,), epochs=EndModelSpec().passes)
    assert done.setting
    assert "hardly ever predicts good" in " ".join(done.warnings)
    assert EndModel.load(tmp_path / "model").predict(TEXTS).tolist() == [1, 0, 1, 0]


def test_too_few_rows_to_hold_out_are_trained_on(feature_files: Files, tmp_path: Path) -> None:
    """Nothing held out: a model all the same, and a warning."""
    done = _distill(feature_files(heldout=0.0), tmp_path / "model")
    assert any("too few to hold some out" in warning for warning in done.warnings)
    assert EndModel.load(tmp_path / "model").predict(TEXTS).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("loss", ["symmetric", "generalized"])
def test_losses_are_those_of_the_linear_head(feature_files: Files, tmp_path: Path, loss: str) -> None:
    """A forgiving loss learns, and other weights than cross entropy does."""
    files = feature_files()
    _distill(files, tmp_path / "plain", epochs=15)
    _distill(files, tmp_path / "other", loss=loss, epochs=15)
    assert EndModel.load(tmp_path / "other").predict(TEXTS).tolist() == [1, 0, 1, 0]
    plain, other = (load_file(tmp_path / name / "model.safetensors")["weight"] for name in ("plain", "other"))
    assert not np.allclose(plain, other, atol=1e-3)
