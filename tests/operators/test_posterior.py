"""Soft labels are a function of a row's votes alone."""

from __future__ import annotations

import numpy as np
import pytest

from operators.posterior import Evidence, hard_labels, soft_labels


@pytest.fixture
def evidence() -> Evidence:
    rng = np.random.default_rng(5)
    return Evidence(table=rng.normal(size=(4, 4, 3)), prior=np.array([0.2, 0.3, 0.5]), temperature=0.6)


def test_posterior_worked_out_by_hand() -> None:
    """Prior odds 1:3, and evidence 6:1 at temperature 1, give 2:1."""
    table = np.zeros((1, 3, 2))
    table[0, 0] = [np.log(6.0), 0.0]
    soft = soft_labels(np.array([[0]]), Evidence(table=table, prior=np.array([0.25, 0.75])))
    np.testing.assert_allclose(soft, [[2 / 3, 1 / 3]], rtol=1e-12)


def test_temperature_tempers_evidence_and_prior() -> None:
    """At half the temperature the same row has the square root of its odds."""
    table = np.zeros((1, 3, 2))
    table[0, 0] = [np.log(4.0), 0.0]
    uniform = np.array([0.5, 0.5])
    soft = soft_labels(np.array([[0]]), Evidence(table=table, prior=uniform, temperature=0.5))
    np.testing.assert_allclose(soft, [[2 / 3, 1 / 3]], rtol=1e-12)


def test_abstaining_is_evidence(evidence: Evidence) -> None:
    """An abstain reads the last row of the table."""
    soft = soft_labels(np.array([[0, -1, -1, -1]]), evidence)
    scores = 0.6 * (np.log(evidence.prior) + evidence.table[0, 0] + evidence.table[1:, 3].sum(axis=0))
    np.testing.assert_allclose(soft[0], np.exp(scores) / np.exp(scores).sum(), rtol=1e-12)


def test_uncovered_rows_keep_the_prior(evidence: Evidence) -> None:
    """A row without votes gets the prior, to the last bit."""
    soft = soft_labels(np.full((2, 4), -1, np.int8), evidence)
    assert np.array_equal(soft, np.tile(evidence.prior, (2, 1)))


def test_blocks_change_no_bit(evidence: Evidence) -> None:
    """A row's soft label has the same bits in whatever block it stands."""
    votes = np.random.default_rng(1).integers(-1, 3, size=(20_000, 4)).astype(np.int8)
    whole = soft_labels(votes, evidence)
    parts = np.concatenate([soft_labels(block, evidence) for block in np.array_split(votes, 37)])
    assert np.array_equal(whole, parts)
    np.testing.assert_allclose(whole.sum(axis=1), 1.0, rtol=1e-12)


def test_huge_evidence_stays_finite() -> None:
    """Evidence of thousands neither overflows nor gives NaN."""
    table = np.zeros((2, 3, 2))
    table[:, 0] = [5000.0, -5000.0]
    soft = soft_labels(np.array([[0, 0]]), Evidence(table=table, prior=np.array([0.5, 0.5])))
    assert soft.tolist() == [[1.0, 0.0]]


def test_hard_labels_say_why_there_is_none() -> None:
    """Labels come with a reason: labeled, tie or uncovered."""
    soft = np.array([[0.2, 0.8], [0.5, 0.5 - 1e-12], [0.9, 0.1]])
    votes = np.array([[1, -1], [0, 1], [-1, -1]], np.int8)
    labels, reasons = hard_labels(soft, votes)
    assert labels.dtype == np.int8
    assert labels.tolist() == [1, -1, -1]
    assert reasons.tolist() == ["labeled", "tie", "uncovered"]


def test_no_rows(evidence: Evidence) -> None:
    """No rows in, no rows out."""
    votes = np.zeros((0, 4), np.int8)
    labels, reasons = hard_labels(soft_labels(votes, evidence), votes)
    assert labels.shape == reasons.shape == (0,)


def test_refuses_what_does_not_fit(evidence: Evidence) -> None:
    """Votes of other programs, and evidence that is no evidence, are refused."""
    with pytest.raises(ValueError, match="fitted on 4 programs"):
        soft_labels(np.zeros((1, 3), np.int8), evidence)
    with pytest.raises(ValueError, match="must have shape"):
        Evidence(table=np.zeros((1, 2, 2)), prior=np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="finite"):
        Evidence(table=np.full((1, 3, 2), np.nan), prior=np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="prior"):
        Evidence(table=np.zeros((1, 3, 2)), prior=np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="rows of votes"):
        hard_labels(np.zeros((2, 2)), np.zeros((1, 1), np.int8))
