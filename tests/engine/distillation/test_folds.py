"""Where rows are few each is held out once, from a training that did not see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from engine.distillation import folds
from engine.distillation.choice import Candidate, class_shares
from engine.distillation.folds import pooled, splits_of
from engine.distillation.groups import Alone
from engine.distillation.rows import Rows
from engine.distillation.train import distill
from engine.task_end_model import EndModelSpec


def _rows(numbers: np.ndarray) -> Rows:
    """Rows whose one feature is their number."""
    soft = np.full((len(numbers), 2), 0.5, np.float32)
    features = sp.csr_matrix((numbers + 1)[:, None].astype(np.float32))
    return Rows(features=features, soft=soft, folds=(numbers % 10).astype(np.uint8))


def _split(num_rows: int, *, in_turn: bool = True) -> tuple[folds.Split, ...]:
    numbers = np.arange(num_rows)
    first = numbers % 10 == 0
    return splits_of(_rows(numbers[~first]), _rows(numbers[first]), group=Alone(), in_turn=in_turn)


def _numbers(rows: Rows) -> list[int]:
    return sorted(int(value) - 1 for value in rows.features.toarray().ravel())


def test_every_row_is_held_out_once() -> None:
    """Five parts, two folds each; what is held out is not trained on."""
    splits = _split(40)
    assert sorted(n for split in splits for n in _numbers(split.heldout)) == list(range(40))
    for number, split in enumerate(splits):
        assert _numbers(split.heldout) == [n for n in range(40) if n % 10 // 2 == number]
        assert sorted(_numbers(split.rows) + _numbers(split.heldout)) == list(range(40))
        assert split.num_heldout == split.heldout.num_rows


def test_many_rows_are_held_out_by_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit, or where it is not wanted, the first fold chooses alone; with one fold nothing does."""
    monkeypatch.setattr(folds, "MOST_ROWS", 39)
    for splits in (_split(40), _split(30, in_turn=False)):
        (only,) = splits
        assert set(np.array(_numbers(only.heldout)) % 10) == {0}
    assert _split(1) == ()


def _candidate(penalty: float, epoch: int, loss: float) -> Candidate:
    shares = (1.0, 0.0) if loss > 0.5 else (0.5, 0.5)
    return Candidate(
        regularization=penalty,
        epoch=epoch,
        train_loss=loss,
        heldout_loss=loss,
        predicted_shares=shares,
        label_shares=(0.5, 0.5),
    )


def test_candidates_are_means_over_rows() -> None:
    """A split that ended a regularization earlier stands there with its last epoch."""
    one = [_candidate(1.0, 0, 0.8), _candidate(1.0, 1, 0.4), _candidate(0.1, 1, 0.3), _candidate(0.1, 2, 0.2)]
    two = [_candidate(1.0, 0, 0.8), _candidate(1.0, 1, 0.8), _candidate(0.1, 1, 0.4)]
    both = pooled([one, two], [30, 10])
    found = {(told.candidate.regularization, told.candidate.epoch): told.candidate for told in both}
    assert both[-1].parts == (one[-1], two[-1])
    assert list(found) == [(1.0, 0), (1.0, 1), (0.1, 1), (0.1, 2)]
    losses = [c.heldout_loss for c in found.values()]
    assert losses == pytest.approx([0.8, 0.5, 0.325, 0.25])
    assert found[1.0, 1].predicted_shares == pytest.approx((0.625, 0.375))


def test_one_unlucky_tenth_does_not_choose(feature_files: Callable[..., list[Path]], tmp_path: Path) -> None:
    """With a held-out tenth of four rows the choice would be luck; all rows together find that words tell the class."""
    files = feature_files(num_rows=200, noise=0.3, heldout=0.02)
    spec = EndModelSpec(num_features_log2=12, max_ngram=1)
    done = distill(files, spec=spec, class_names=("bad", "good"), seed=0, out=tmp_path / "model", facts={})
    # The entropy of soft labels of .8 that are wrong for 30% of rows, given the class.
    assert done.heldout_loss == pytest.approx(0.66, abs=0.03)
    assert sum(found.rows for found in done.reliability) == 200


def test_classes_of_many_can_be_lost() -> None:
    """A class of a hundred has a share of .01, and its loss is seen; a tie counts for all that are tied."""
    k = 100
    even, one = tuple(np.full(k, 1 / k)), tuple(np.eye(k)[0])
    lost = Candidate(
        regularization=1.0, epoch=1, train_loss=1.0, heldout_loss=1.0, predicted_shares=one, label_shares=even
    )
    assert len(lost.collapsed) == k - 1
    assert class_shares(np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])).tolist() == [0.5, 0.5, 1.0]
