"""Leaving features out: what it does to rows, and what for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from pydantic import ValidationError

from engine.distillation.dropout import dropout_of, thinned, thinned_heldout
from engine.distillation.end_model import EndModel
from engine.distillation.outcome import Distillation
from engine.distillation.rows import Rows, feature_spec
from engine.distillation.train import distill
from engine.task_end_model import EndModelSpec
from operators.features import Featurizer, unit_rows

WORDS = [f"w{i}" for i in range(10)]


def _rows(n: int = 200) -> Rows:
    rng = np.random.default_rng(0)
    features = unit_rows(sp.random(n, 50, density=0.4, format="csr", dtype=np.float32, rng=rng))
    soft = rng.dirichlet(np.ones(3), size=n).astype(np.float32)
    return Rows(features=features, soft=soft, folds=(np.arange(n) % 10).astype(np.uint8))


def _spec(head: str, dropout: float, *, epochs: int, regularization: tuple[float, ...]) -> EndModelSpec:
    words: dict[str, Any] = {"max_char_ngram": 0, "num_features_log2": 12, "max_ngram": 1, "hidden_units": 8}
    return EndModelSpec(head=head, feature_dropout=dropout, epochs=epochs, regularization=regularization, **words)


def _distill(
    spec: EndModelSpec, texts: list[str], soft: np.ndarray, written_rows: Callable[..., Path], out: Path
) -> Distillation:
    block = Featurizer(feature_spec(spec)).transform(texts)
    file = written_rows(out.parent / "rows.parquet", block, soft, np.arange(len(texts)) % 10)
    return distill([file], spec=spec, class_names=("no", "yes"), seed=0, out=out, facts={})


def test_half_of_each_row_is_left_twice() -> None:
    """Each row stands twice with other halves of its features, of length 1 again, and its own soft label."""
    rows = _rows()
    found = thinned(rows, dropout=0.5, seed=(1, 0))
    assert found.num_rows == 400
    first, second = found.features[:200], found.features[200:]
    for part in (first, second):
        assert abs(part.nnz / rows.features.nnz - 0.5) < 0.05
        assert not ((part != 0) > (rows.features != 0)).nnz, "a feature that the row does not have"
        np.testing.assert_allclose(sp.linalg.norm(part, axis=1), 1.0, rtol=1e-5)
    assert abs(first.minimum(second).nnz / rows.features.nnz - 0.25) < 0.05, "both draws left out the same"
    np.testing.assert_array_equal(found.soft, np.vstack([rows.soft, rows.soft]))
    np.testing.assert_array_equal(found.folds, np.concatenate([rows.folds, rows.folds]))


def test_the_seed_settles_what_is_left_out() -> None:
    """The same seed leaves out the same, another one something else, and nothing to leave out gives the rows."""
    rows = _rows()
    one, same, other = (thinned(rows, dropout=0.5, seed=(s, 0)).features for s in (1, 1, 2))
    assert (one != same).nnz == 0
    assert (one != other).nnz > 0
    assert thinned(rows, dropout=0.0, seed=(1, 0)) is rows


@pytest.mark.parametrize(("dropout", "draws"), [(0.1, 1), (0.7, 3), (0.8, 5), (0.95, 5)])
def test_rows_stand_there_the_more_often_the_less_is_left_of_them(dropout: float, draws: int) -> None:
    """All that is left of a row together is about as much as the row, but it stands there five times at most."""
    assert thinned(_rows(), dropout=dropout, seed=(0, 0)).num_rows == 200 * draws


def test_many_rows_stand_there_once() -> None:
    """From 100,000 rows others like it say the rest."""
    features = sp.csr_matrix(np.ones((100_000, 1), np.float32))
    rows = Rows(features=features, soft=np.full((100_000, 2), 0.5, np.float32), folds=np.ones(100_000, np.uint8))
    assert thinned(rows, dropout=0.5, seed=(0, 0)).num_rows == 100_000


def test_rows_to_choose_by_are_thinned_once_and_otherwise() -> None:
    """Held-out rows lose as much of their features, others than rows to train on, and keep targets and weights."""
    rows = replace(_rows(), targets=np.full((200, 3), 1 / 3), weights=np.arange(200.0))
    found = thinned_heldout(rows, dropout=0.5, seed=(1, 0))
    assert abs(found.features.nnz / rows.features.nnz - 0.5) < 0.05
    assert (found.features != thinned(rows, dropout=0.5, seed=(1, 0)).features[:200]).nnz > 0
    assert (found.features != thinned_heldout(rows, dropout=0.5, seed=(1, 0)).features).nnz == 0
    assert found.targets is rows.targets
    assert found.weights is rows.weights
    assert thinned_heldout(rows, dropout=0.0, seed=(1, 0)) is rows


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_it_is_chosen_by_rows_that_miss_features(head: str, written_rows: Callable[..., Path], tmp_path: Path) -> None:
    """Where a word tells the soft label, whole held-out rows are predicted well and thinned ones cannot be."""
    rng = np.random.default_rng(0)
    voted = rng.random(600) < 0.5
    # Of the same length, which is a feature too.
    texts = [" ".join(["kw" if yes else rng.choice(WORDS), *rng.choice(WORDS, 6)]) for yes in voted]
    soft = np.where(voted[:, None] == np.arange(2), 0.1, 0.9)
    told = {}
    for dropout in (0.0, 0.5):
        spec = _spec(head, dropout, epochs=20, regularization=(1e-4,))
        told[dropout] = _distill(spec, texts, soft, written_rows, tmp_path / f"{dropout}").heldout_loss
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
    assert told[0.0] < entropy + 0.03
    assert told[0.5] > entropy + 0.1


def test_most_n_grams_are_left_out_unless_told() -> None:
    """Embeddings and columns are whole, and a task may say otherwise; a fine-tuned encoder refuses it."""
    encoder = EndModelSpec(features="encoder", encoder="somewhere")
    columns = EndModelSpec(features="columns")
    assert dropout_of(EndModelSpec(), feature_spec(EndModelSpec())) == 0.7
    assert dropout_of(EndModelSpec(), feature_spec(EndModelSpec(), embedding_width=8)) == 0.0
    assert dropout_of(encoder, feature_spec(encoder)) == 0.0
    assert dropout_of(columns, feature_spec(columns, columns=["a"])) == 0.0
    told = EndModelSpec(feature_dropout=0.2)
    assert dropout_of(told, feature_spec(told)) == 0.2
    with pytest.raises(ValidationError, match="`feature_dropout` is for"):
        EndModelSpec(head="fine_tune", features="encoder", encoder="somewhere", feature_dropout=0.5)
    with pytest.raises(ValidationError, match="less than 1"):
        EndModelSpec(feature_dropout=1.0)


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_model_learns_more_than_the_word_that_its_labels_come_from(
    head: str, written_rows: Callable[..., Path], tmp_path: Path
) -> None:
    """Soft labels follow one word that two thirds of a class have; ten others tell the class without it.

    With half of the features left out the model gives most of the rows that the programs missed their class; without
    that it does as the programs do.
    """
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 800)
    texts = []
    for y in classes:
        words = [word for word in WORDS if rng.random() < (0.45 if y else 0.1)]
        texts.append(" ".join([*words, *(["keyword"] if y and rng.random() < 0.65 else []), f"n{rng.integers(400)}"]))
    voted = np.array(["keyword" in text for text in texts])
    missed = (classes == 1) & ~voted
    found = {}
    for dropout in (0.0, 0.5):
        spec = _spec(head, dropout, epochs=15, regularization=(1e-3, 1e-5))
        soft = np.where(voted[:, None] == np.arange(2), 0.9, 0.1)
        _distill(spec, texts, soft, written_rows, tmp_path / f"{dropout}")
        predicted = EndModel.load(tmp_path / f"{dropout}").predict(texts)
        found[dropout] = (predicted[missed] == 1).mean(), (predicted == classes).mean()
    assert found[0.5][0] > found[0.0][0] + 0.1
    assert found[0.5][1] > found[0.0][1] + 0.01
