"""Characters are used where held-out soft labels ask for them, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from engine.distillation.characters import CharacterTrial, try_characters
from engine.distillation.rows import feature_spec
from engine.task_end_model import EndModelSpec
from operators.features import FeatureSpec, Featurizer

SPEC = FeatureSpec(num_features_log2=12, max_ngram=1, max_char_ngram=5)
Write = Callable[..., Path]
LETTERS = list("abcdefghijklmnopqrstuvwxyz")


def _written(write: Write, path: Path, texts: list[str], classes: np.ndarray, *, sure: float = 0.95) -> Path:
    soft = np.where(classes[:, None] == np.arange(2), sure, 1 - sure)
    return write(path, Featurizer(SPEC).transform(texts), soft, np.arange(len(texts)) % 10)


def _tried(files: list[Path]):
    return try_characters(files, features=SPEC, num_classes=2, regularization=(1e-2, 1e-4), epochs=20)


def test_endings_of_words_that_nobody_has_seen(written_rows: Write, tmp_path: Path) -> None:
    """Only characters can tell what a held-out row is."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 400)
    stems = ["".join(rng.choice(LETTERS, 7)) for _ in classes]
    texts = [stem + ("ing" if y else "ful") for stem, y in zip(stems, classes, strict=True)]
    trial = _tried([_written(written_rows, tmp_path / "a.parquet", texts, classes)])
    assert trial.help
    assert trial.with_loss < trial.without_loss - 0.1
    assert trial.rows == 400
    assert str(trial).startswith("used: held-out loss ")


def test_words_that_tell_everything(written_rows: Write, tmp_path: Path) -> None:
    """One word tells the class, and characters of the others only distract."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 400)
    noise = [" ".join("".join(rng.choice(LETTERS, 6)) for _ in range(12)) for _ in classes]
    texts = [f"{'no' if y else 'on'} {rest}" for y, rest in zip(classes, noise, strict=True)]
    trial = _tried([_written(written_rows, tmp_path / "a.parquet", texts, classes)])
    assert not trial.help
    assert str(trial).startswith("not used: held-out loss ")


def test_a_hair_is_no_help() -> None:
    """Characters must save a hundredth of the loss, and no class may be lost by them."""
    assert not CharacterTrial(rows=500, with_loss=0.7632, without_loss=0.7633).help
    assert CharacterTrial(rows=500, with_loss=0.75, without_loss=0.77).help
    assert not CharacterTrial(rows=500, with_loss=0.75, without_loss=0.77, with_lost=1).help
    assert CharacterTrial(rows=500, with_loss=0.75, without_loss=0.77, with_lost=1, without_lost=1).help


def test_unsure_labels_are_not_followed_closely(written_rows: Write, tmp_path: Path) -> None:
    """What characters find in soft labels near a coin's toss may as well be their mistakes."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 400)
    stems = ["".join(rng.choice(LETTERS, 7)) for _ in classes]
    texts = [stem + ("ing" if y else "ful") for stem, y in zip(stems, classes, strict=True)]
    trial = _tried([_written(written_rows, tmp_path / "a.parquet", texts, classes, sure=0.8)])
    assert trial.with_loss < trial.without_loss - 0.05
    assert trial.entropy > 0.7
    assert not trial.help
    assert "too unsure" in str(trial)


def test_too_few_rows_to_try(written_rows: Write, tmp_path: Path) -> None:
    """None at all, or none held out: words alone."""
    trial = _tried([_written(written_rows, tmp_path / "a.parquet", ["one"], np.array([1]))])
    assert math.isnan(trial.with_loss)
    assert not trial.help
    assert str(trial) == "not used: 1 rows are too few to try"
    empty = tmp_path / "none.parquet"
    pq.write_table(pq.read_table(tmp_path / "a.parquet").slice(0, 0), empty)
    assert _tried([empty]).rows == 0


def test_what_a_task_says_is_done() -> None:
    """A number is taken as it is; what is left open follows the trial, for n-grams alone."""
    assert feature_spec(EndModelSpec()).max_char_ngram == 5
    assert feature_spec(EndModelSpec(), characters=False).max_char_ngram == 0
    assert feature_spec(EndModelSpec(max_char_ngram=4), characters=False).max_char_ngram == 4
    assert feature_spec(EndModelSpec(max_char_ngram=0)).max_char_ngram == 0
    assert not EndModelSpec(max_char_ngram=3).tries_characters
    assert feature_spec(EndModelSpec(features="encoder", encoder="x")).max_char_ngram == 0
