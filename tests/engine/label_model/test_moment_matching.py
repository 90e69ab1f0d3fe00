"""Moment matching recovers what was planted, and does not care what things are called."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import NotIdentifiable
from engine.label_model.alternation import Goals, alternate
from engine.label_model.anchor import Tokens
from engine.label_model.baselines import majority_vote
from engine.label_model.model import LabelModel
from engine.label_model.moment_matching import fit
from engine.label_model.synthetic import Planted, plant, plant_table
from engine.label_model.token_problem import TokenProblem
from operators.moments import Moments
from operators.patterns import Patterns
from operators.schema import Floats


def _planted(num_programs: int, num_classes: int, num_rows: int, seed: int = 0) -> Planted:
    rng = np.random.default_rng(seed)
    theta = plant_table(num_programs=num_programs, num_classes=num_classes, rng=rng)
    shares = np.arange(2, num_classes + 2, dtype=np.float64)
    return plant(theta=theta, class_balance=shares / shares.sum(), num_rows=num_rows, rng=rng)


@pytest.fixture
def small() -> Planted:
    return _planted(num_programs=6, num_classes=3, num_rows=2000)


@pytest.mark.parametrize(
    ("m", "k", "n"), [(5, 2, 2000), (10, 3, 10_000), pytest.param(25, 4, 20_000, marks=pytest.mark.slow)]
)
def test_planted_programs_are_recovered(m: int, k: int, n: int) -> None:
    """At three sizes, accuracies come out near the planted ones and labels no worse than by majority."""
    data = _planted(m, k, n)
    moments = Moments.of(data.votes, k)
    model = fit(moments, Patterns.of(data.votes, k))
    votes = data.theta[:, :k] * data.class_balance
    accuracies = np.einsum("jaa->j", votes) / votes.sum(axis=(1, 2))
    # The default spread keeps a bias of .04 to .08 at any n: no count is trusted to better than a tenth.
    assert np.abs(model.accuracies - accuracies).max() < 0.12
    assert np.abs(model.theta - data.theta).max() < 0.1
    covered = (data.votes >= 0).any(axis=1)
    right = (model.predict(data.votes) == data.gold)[covered].mean()
    by_majority = (majority_vote(moments).predict(data.votes) == data.gold)[covered].mean()
    assert right >= by_majority


@pytest.mark.parametrize(("m", "k"), [(5, 2), (6, 2), (5, 3)])
def test_population_moments_without_pull_give_the_truth(m: int, k: int) -> None:
    """With exact moments, the true balance and hardly any pull, the table is the planted one."""
    rng = np.random.default_rng(m + k)
    theta = plant_table(num_programs=m, num_classes=k, accuracy=(0.65, 0.9), rng=rng)
    balance = np.full(k, 1.0 / k)
    table, tokens = _population(theta, balance)
    problem = TokenProblem(num_tokens=m * k, num_classes=k)
    current = tokens
    for _ in range(40):
        # Each round pulls to where the last one came: the pull vanishes, the start does not jump.
        found = alternate(Goals.of(current, counted=tokens.others, pull=1e-2), problem.solve)
        current = replace(current, anchor=found)
    assert np.abs(found - table).max() < 5e-3


def _population(theta: Floats, balance: Floats) -> tuple[Floats, Tokens]:
    m, k = theta.shape[0], theta.shape[2]
    n = 1e9
    joint = theta[:, :k] * balance
    counts = joint.sum(axis=2).ravel() * n
    table = (joint / joint.sum(axis=2, keepdims=True)).reshape(m * k, k)
    places = np.arange(m * k)
    chance = np.outer(counts, counts) / n
    tokens = Tokens(
        places=places,
        programs=places // k,
        classes=places % k,
        counts=counts,
        pairs=chance * ((table / balance) @ table.T),
        chance=chance,
        balance=balance,
        anchor=0.7 * table + 0.3 / k,
    )
    return table, tokens


def test_relabeling_classes_permutes_the_answer(small: Planted) -> None:
    """Classes have no order: other numbers for them permute the soft labels."""
    to = np.array([2, 0, 1])
    renamed = np.where(small.votes >= 0, to[small.votes], -1).astype(np.int8)
    soft = LabelModel.fit(small.votes, num_classes=3).predict_proba(small.votes)
    other = LabelModel.fit(renamed, num_classes=3).predict_proba(renamed)
    # The solver stops within 1e-6 or so, by another path.
    np.testing.assert_allclose(other[:, to], soft, atol=1e-4)


def test_order_of_programs_does_not_matter(small: Planted) -> None:
    """Programs in another order give the same soft labels."""
    order = np.array([3, 1, 5, 0, 2, 4])
    model = LabelModel.fit(small.votes, num_classes=3)
    other = LabelModel.fit(small.votes[:, order], num_classes=3)
    np.testing.assert_allclose(other.accuracies, model.accuracies[order], atol=1e-4)
    np.testing.assert_allclose(other.predict_proba(small.votes[:, order]), model.predict_proba(small.votes), atol=1e-4)


def test_order_of_rows_changes_no_bit(small: Planted) -> None:
    """Rows in another order, and in blocks, give the same bits."""
    rows = np.random.default_rng(1).permutation(len(small.votes))
    blocks = np.array_split(small.votes[rows], 7)
    moments = sum((Moments.of(block, 3) for block in blocks), start=Moments.zero(6, 3))
    blockwise = fit(moments, sum((Patterns.of(block, 3) for block in blocks), start=Patterns.zero(6)))
    assert blockwise.to_json() == LabelModel.fit(small.votes, num_classes=3).to_json()


def test_a_program_that_always_abstains_changes_nothing(small: Planted) -> None:
    """It gets no say, and a warning."""
    with_silent = np.insert(small.votes, 2, -1, axis=1)
    model = LabelModel.fit(with_silent, num_classes=3)
    soft = LabelModel.fit(small.votes, num_classes=3).predict_proba(small.votes)
    np.testing.assert_allclose(model.predict_proba(with_silent), soft, atol=1e-9)
    assert math.isnan(model.accuracies[2])
    assert any("programs 2 never vote" in warning for warning in model.warnings)


def test_duplicates_are_found_and_weigh_less(small: Planted) -> None:
    """Three copies of a program are named, and together weigh less than three programs."""
    copied = np.concatenate([small.votes, small.votes[:, [0, 0]]], axis=1)
    model = LabelModel.fit(copied, num_classes=3)
    assert model.diagnostics is not None
    pairs = {(found.program, found.other) for found in model.diagnostics.duplicates}
    assert {(0, 6), (0, 7), (6, 7)} <= pairs
    assert model.vote_weights[0].max() < 0.7
    assert model.vote_weights[1].min() > 0.99


@pytest.mark.parametrize(
    ("m", "k"),
    [(1, 2), (2, 2), (3, 2), (12, 2), (1, 20), (2, 20), (3, 20), pytest.param(12, 20, marks=pytest.mark.slow)],
)
def test_any_shape_gives_finite_soft_labels(m: int, k: int) -> None:
    """Few rows, one program, many classes: soft labels are finite and sum to 1."""
    votes = np.random.default_rng(m * k).integers(-1, k, size=(40, m)).astype(np.int8)
    model = LabelModel.fit(votes, num_classes=k)
    np.testing.assert_allclose(model.predict_proba(votes).sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(model.theta.sum(axis=1), 1.0, rtol=1e-9)
    assert (model.theta >= 0).all()


@pytest.mark.slow
def test_two_hundred_programs() -> None:
    """200 programs that vote one class each are fitted, with int8 votes and m*k far above 127."""
    rng = np.random.default_rng(9)
    gold = rng.integers(0, 4, size=5000)
    votes = np.full((5000, 200), -1, np.int8)
    for j in range(200):
        fires = rng.random(5000) < np.where(gold == j % 4, 0.1, 0.02)
        votes[fires, j] = j % 4
    model = LabelModel.fit(votes, num_classes=4)
    covered = (votes >= 0).any(axis=1)
    assert (model.predict(votes) == gold)[covered].mean() > 0.9


def test_one_program_is_believed() -> None:
    """The labels of a single program are its votes, and the warning says that accuracy is not known."""
    votes = np.array([[0], [1], [1], [-1]], np.int8)
    model = LabelModel.fit(votes, num_classes=2)
    assert model.predict(votes).tolist() == [0, 1, 1, -1]
    assert any("fewer than 3" in warning for warning in model.warnings)


def test_votes_for_one_class_alone() -> None:
    """All votes for one class: finite, labeled so, and the class nobody votes for is named."""
    votes = np.where(np.random.default_rng(0).random((50, 4)) < 0.5, 1, -1).astype(np.int8)
    model = LabelModel.fit(votes, num_classes=3)
    soft = model.predict_proba(votes)
    assert np.isfinite(soft).all()
    assert set(model.predict(votes)[(votes >= 0).any(axis=1)].tolist()) == {1}
    assert any("no program votes for class 0, 2" in warning for warning in model.warnings)


def test_no_votes_at_all() -> None:
    """Without a vote every soft label is the prior, and a warning says to add programs."""
    votes = np.full((5, 3), -1, np.int8)
    model = LabelModel.fit(votes, num_classes=4)
    np.testing.assert_allclose(model.predict_proba(votes), 0.25)
    assert len(model.warnings) == 1
    assert "add programs that vote" in model.warnings[0]


def test_programs_that_never_meet() -> None:
    """Without overlap the accuracies rest on vote shares, and a warning says what to add."""
    votes = np.full((90, 3), -1, np.int8)
    for j in range(3):
        votes[30 * j : 30 * (j + 1), j] = np.arange(30) % 2
    model = LabelModel.fit(votes, num_classes=2)
    assert any("cover the rows of others" in warning for warning in model.warnings)
    assert model.diagnostics is not None
    assert model.diagnostics.solves == 0


def test_patterns_of_other_rows_are_refused(small: Planted) -> None:
    """The temperature of half of the rows does not go with the moments of all."""
    with pytest.raises(ValueError, match="1000 rows"):
        fit(Moments.of(small.votes, 3), Patterns.of(small.votes[:1000], 3))


def test_too_few_pairs_are_named(caplog: pytest.LogCaptureFixture) -> None:
    """Fewer pairs of votes than unknowns: the warning gives both numbers and is logged."""
    # Four programs of one class each: 6 pairs, and 3 free probabilities for each of 4 votes.
    fires = np.random.default_rng(0).random((200, 4)) < 0.7
    votes = np.where(fires, np.arange(4), -1).astype(np.int8)
    model = LabelModel.fit(votes, num_classes=4)
    (warning,) = model.warnings
    assert "6 pairs of votes are too few for 12 unknowns" in warning
    assert warning in caplog.text


def test_a_given_class_balance_is_the_prior(small: Planted) -> None:
    """What the user gives is used as it is, for uncovered rows too."""
    model = LabelModel.fit(small.votes, num_classes=3, class_balance=[0.2, 0.3, 0.5])
    np.testing.assert_allclose(model.evidence.prior, [0.2, 0.3, 0.5])
    assert model.diagnostics is not None
    assert model.diagnostics.prior_rule == "given"
    for wrong in ([0.5, 0.5], [0.5, 0.5, 0.5], [0.0, 0.5, 0.5]):
        with pytest.raises(ValueError, match="3 positive shares"):
            LabelModel.fit(small.votes, num_classes=3, class_balance=wrong)


def test_nothing_to_fit_is_refused() -> None:
    """No program or no row is an error that says what to do."""
    with pytest.raises(NotIdentifiable, match="add programs"):
        fit(Moments.zero(0, 2), Patterns.zero(0))
    with pytest.raises(NotIdentifiable, match="split column"):
        fit(Moments.zero(3, 2), Patterns.zero(3))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**20), k=st.integers(2, 4), m=st.integers(1, 8), n=st.integers(5, 200))
def test_unanimous_votes_stand_unless_a_program_is_worse_than_chance(seed: int, k: int, m: int, n: int) -> None:
    """On programs of any accuracy, coverage and one-sidedness; where a row is overruled, the warnings say why."""
    rng = np.random.default_rng(seed)
    gold = rng.choice(k, n, p=rng.dirichlet(np.ones(k)))
    votes = np.full((n, m), -1, np.int8)
    for j in range(m):
        fires = rng.random(n) < rng.uniform(0.05, 0.9)
        right = rng.random(n) < rng.uniform(0.2, 0.95)
        votes[fires, j] = np.where(right, gold, rng.integers(0, k, n))[fires]
        if rng.random() < 0.4:
            votes[votes[:, j] != rng.integers(0, k), j] = -1
    model = LabelModel.fit(votes, num_classes=k)
    soft = model.predict_proba(votes)
    assert np.isfinite(soft).all()
    np.testing.assert_allclose(soft.sum(axis=1), 1.0)
    labels, said = model.predict(votes), votes.max(axis=1)
    unanimous = (said >= 0) & ((votes == said[:, None]) | (votes < 0)).all(axis=1)
    worse = np.einsum("jaa->ja", model.given_vote) * k < 1.0
    for row in np.flatnonzero(unanimous & (labels != said)):
        assert any(worse[j, votes[row, j]] for j in range(m) if votes[row, j] >= 0)
        assert any("less often than by chance" in warning for warning in model.warnings)


def test_a_few_gold_labels_put_a_wrong_program_right(small: Planted) -> None:
    """A majority of programs that err together is believed without gold, and found out with fifty labels."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, 3000)
    twist = np.where(rng.random(3000) < 0.4, 1 - gold, gold)
    votes = np.stack([np.where(rng.random(3000) < 0.9, twist, 1 - twist) for _ in range(5)], axis=1).astype(np.int8)
    honest = np.stack([np.where(rng.random(3000) < 0.85, gold, 1 - gold) for _ in range(3)], axis=1).astype(np.int8)
    L = np.concatenate([votes, honest], axis=1)
    known = np.full(3000, -1)
    known[:50] = gold[:50]
    without = LabelModel.fit(L, num_classes=2)
    informed = LabelModel.fit(L, num_classes=2, gold=known)
    rest = slice(50, None)
    assert (informed.predict(L)[rest] == gold[rest]).mean() > (without.predict(L)[rest] == gold[rest]).mean() + 0.02
    assert informed.diagnostics is not None
    assert informed.diagnostics.gold_rows == 50
    assert without.diagnostics is not None
    assert without.diagnostics.gold_rows == 0
    with pytest.raises(ValueError, match="no use for gold"):
        LabelModel.fit(L, num_classes=2, gold=known, method="dawid_skene")
    with pytest.raises(ValueError, match="shape"):
        LabelModel.fit(L, num_classes=2, gold=known[:10])
    with pytest.raises(ValueError, match="classes 0..1"):
        LabelModel.fit(L, num_classes=2, gold=known + 2)


def test_a_row_of_weight_two_is_the_row_twice(small: Planted) -> None:
    """Counted as weights or as rows, the fit is the same to the last bit."""
    weights = np.random.default_rng(2).integers(1, 4, len(small.votes))
    repeated = np.repeat(small.votes, weights, axis=0)
    patterns = Patterns.of(repeated, 3)
    weighted = fit(Moments.of(small.votes, 3, weights=weights), patterns)
    assert weighted.to_json() == fit(Moments.of(repeated, 3), patterns).to_json()


@pytest.mark.parametrize("times", [100, 100_000])
def test_labels_do_not_depend_on_the_size_of_the_corpus(small: Planted, times: int) -> None:
    """The same rows many times over: sampling error shrinks, and the labels stay, near ties apart."""
    patterns = Patterns.of(small.votes, 3)
    many = replace(patterns, num_rows=patterns.num_rows * times, counts=patterns.counts * times)
    weights = np.full(len(small.votes), times)
    large = fit(Moments.of(small.votes, 3, weights=weights), many)
    assert (large.predict(small.votes) == LabelModel.fit(small.votes, num_classes=3).predict(small.votes)).mean() > 0.99


def test_tripling_a_program_changes_few_labels() -> None:
    """It is found, and three copies weigh like the root of three: far fewer labels change than by majority vote."""
    data = _planted(10, 2, 5000)
    L = np.concatenate([data.votes, data.votes[:, [0, 0]]], axis=1)
    same = {
        method: (
            LabelModel.fit(L, num_classes=2, method=method).predict(L)
            == LabelModel.fit(data.votes, num_classes=2, method=method).predict(data.votes)
        ).mean()
        for method in ("moment_matching", "majority_vote")
    }
    assert same["moment_matching"] > 0.95
    assert 1 - same["moment_matching"] < 0.5 * (1 - same["majority_vote"])
