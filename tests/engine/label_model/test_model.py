"""A label model is a value: derived tables, and a round trip to the last bit."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.label_model.baselines import majority_vote
from engine.label_model.methods import METHODS
from engine.label_model.model import LabelModel
from operators.moments import Moments
from operators.posterior import Evidence


@pytest.fixture
def votes() -> np.ndarray:
    rng = np.random.default_rng(2)
    gold = rng.integers(0, 2, size=300)
    noise = rng.random((300, 5))
    return np.where(noise < 0.5, gold[:, None], np.where(noise < 0.7, 1 - gold[:, None], -1)).astype(np.int8)


def test_json_round_trip_keeps_every_bit(votes: np.ndarray) -> None:
    """Saved and read, a label model gives the same bits, and so does its JSON."""
    model = LabelModel.fit(votes, num_classes=2)
    read = LabelModel.from_json(json.loads(json.dumps(model.to_json(), allow_nan=False)))
    assert np.array_equal(read.predict_proba(votes), model.predict_proba(votes))
    assert np.array_equal(read.theta, model.theta)
    assert read.to_json() == model.to_json()
    assert read.diagnostics == model.diagnostics


def test_round_trip_without_a_match() -> None:
    """What was not matched has no misfit; JSON, which has no NaN, keeps that."""
    model = LabelModel.fit(np.array([[0], [1]]), num_classes=2)
    read = LabelModel.from_json(json.loads(json.dumps(model.to_json(), allow_nan=False)))
    assert read.diagnostics is not None
    assert math.isnan(read.diagnostics.misfit)
    voted = majority_vote(Moments.of(np.array([[0], [1]]), 2))
    assert LabelModel.from_json(voted.to_json()).diagnostics is None


def test_theta_and_accuracies_worked_out_by_hand() -> None:
    """From evidence, prior and vote rates follow P(vote | class) and the share of right votes."""
    table = np.zeros((1, 3, 2))
    table[0, 0, 0] = np.log(4.0)
    model = LabelModel(
        evidence=Evidence(table=table, prior=np.array([0.5, 0.5])),
        method="moment_matching",
        vote_rates=np.array([[0.5, 0.0]]),
        given_vote=np.array([[[0.8, 0.2], [0.5, 0.5]]]),
        class_balance=np.array([0.5, 0.5]),
        vote_weights=np.ones((1, 2)),
    )
    # A vote for 0 means class 0 with probability 4/5, and half of all rows have one.
    np.testing.assert_allclose(model.accuracies, [0.8])
    np.testing.assert_allclose(model.theta[0], [[0.8, 0.2], [0.0, 0.0], [0.2, 0.8]], atol=1e-15)


def test_weights_of_duplicates_do_not_blur_accuracies() -> None:
    """A vote at half weight counts less in soft labels and is as accurate as before."""
    table = np.zeros((1, 3, 2))
    table[0, 0, 0] = np.log(4.0)
    half = LabelModel(
        evidence=Evidence(table=table / 2, prior=np.array([0.5, 0.5])),
        method="moment_matching",
        vote_rates=np.array([[0.5, 0.0]]),
        given_vote=np.array([[[0.8, 0.2], [0.5, 0.5]]]),
        class_balance=np.array([0.5, 0.5]),
        vote_weights=np.full((1, 2), 0.5),
    )
    np.testing.assert_allclose(half.accuracies, [0.8])
    np.testing.assert_allclose(half.predict_proba(np.array([[0]])), [[2 / 3, 1 / 3]])


def test_ties_and_uncovered_rows_abstain() -> None:
    """`predict` gives ABSTAIN where the votes decide nothing."""
    model = majority_vote(Moments.of(np.array([[0, 1], [1, 1]]), 2))
    assert model.predict(np.array([[0, 1], [1, 1], [-1, -1]])).tolist() == [-1, 1, -1]


def test_what_does_not_fit_is_refused(votes: np.ndarray) -> None:
    """Votes of other programs, a saved model with a part missing, and rates of another shape are refused."""
    model = LabelModel.fit(votes, num_classes=2)
    with pytest.raises(ValueError, match="fitted on 5 programs"):
        model.predict(votes[:, :3])
    content = model.to_json()
    del content["prior"]
    with pytest.raises(ValueError, match="no 'prior'"):
        LabelModel.from_json(content)
    with pytest.raises(ValueError, match="vote_rates must have shape"):
        LabelModel(
            evidence=model.evidence,
            method="majority_vote",
            vote_rates=np.ones((1, 2)),
            given_vote=model.given_vote,
            class_balance=model.class_balance,
            vote_weights=model.vote_weights,
        )


@pytest.mark.slow
def test_reading_a_label_model_needs_no_solver() -> None:
    """Importing the model, the baselines and the posterior brings in neither cvxpy nor Ray nor torch."""
    code = (
        "import sys, engine.label_model.model, engine.label_model.baselines, operators.posterior;"
        "sys.exit(', '.join(m for m in ('cvxpy', 'ray', 'torch') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_saved_model_is_read_again(votes: np.ndarray, tmp_path: Path) -> None:
    """One file, JSON, and the same bits."""
    model = LabelModel.fit(votes, num_classes=2)
    model.save(tmp_path / "model.json")
    model.save(tmp_path / "model.json")
    assert np.array_equal(LabelModel.load(tmp_path / "model.json").predict_proba(votes), model.predict_proba(votes))


@pytest.mark.parametrize(("content", "reason"), [("{", "not JSON"), ("{}", "num_programs")])
def test_what_is_no_label_model_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    """With the name of what is missing."""
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(ValueError, match=reason):
        LabelModel.load(tmp_path / "model.json")


def test_ties_abstain_or_are_drawn() -> None:
    """At random among the classes that tie alone, the same with the same seed; uncovered rows abstain either way."""
    L = np.array([[0, 1], [2, 2], [-1, -1]] * 200, np.int8)
    model = LabelModel.fit(L, num_classes=3, method="majority_vote")
    assert model.predict(L)[:3].tolist() == [-1, 2, -1]
    drawn = model.predict(L, tie_break="random", seed=1)
    assert set(drawn[0::3].tolist()) == {0, 1}
    assert 60 < (drawn[0::3] == 0).sum() < 140
    assert set(drawn[1::3].tolist()) == {2}
    assert set(drawn[2::3].tolist()) == {-1}
    assert np.array_equal(drawn, model.predict(L, tie_break="random", seed=1))


def test_a_score_by_hand() -> None:
    """A right row, a wrong one, a tie, an uncovered row, which counts as the likelier class, and one without gold."""
    L = np.array([[0, 0], [1, 1], [0, 1], [-1, -1], [0, 0]], np.int8)
    model = LabelModel.fit(L, num_classes=2, method="majority_vote")
    found = model.score(L, np.array([0, 0, 1, 0, -1]))
    assert found.rows == 4
    assert found.accuracy == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert found.accuracy_covered == pytest.approx(1.5 / 3)
    with pytest.raises(ValueError, match="shape"):
        model.score(L, np.array([0, 1]))
    with pytest.raises(ValueError, match="gold"):
        model.score(L, np.full(5, -1))


def test_every_method_fits_behind_one_name(votes: np.ndarray) -> None:
    """And says its name; an unknown one is refused with the list."""
    for method in METHODS:
        model = LabelModel.fit(votes, num_classes=2, method=method)
        assert model.method == method
        assert LabelModel.from_json(model.to_json()).method == method
    with pytest.raises(ValueError, match="expected one of moment_matching"):
        LabelModel.fit(votes, num_classes=2, method="snorkel")
