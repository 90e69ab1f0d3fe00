"""Trials on a sample: what is measured, and which programs are turned away with which words."""

from __future__ import annotations

import pyarrow as pa
import pytest

from operators.admission import Terms, Trial, try_out
from operators.sandbox.pool import Limits

TERMS = Terms(max_row_s=0.005, max_error_fraction=0.1, max_abstain_fraction=1.0)
TEXTS = pa.array([f"row {row}" for row in range(300)], pa.large_string())
GOOD = "def label_function(text):\n    return 1 if '7' in text else -1\n"


def tried(*sources: str, texts: pa.Array = TEXTS, limits: Limits | None = None) -> list[Trial]:
    """Try programs of two classes."""
    return try_out(sources, texts, num_classes=2, limits=limits or Limits(), max_row_s=TERMS.max_row_s)


def problem(source: str, terms: Terms = TERMS) -> str:
    """Return the one reason against a program."""
    (trial,) = tried(source)
    (found,) = terms.problems(trial)
    return found


def test_a_good_program_is_measured_and_admitted() -> None:
    """Time a row, errors and abstentions are what they are."""
    (trial,) = tried(GOOD)
    assert TERMS.problems(trial) == ()
    assert trial.num_rows == 300
    assert trial.error_fraction == 0
    assert trial.abstain_fraction == sum("7" not in text for text in TEXTS.to_pylist()) / 300
    assert 0 < trial.row_s < 0.001
    assert trial.message is None


def test_time_is_told_by_program() -> None:
    """A slow program is not hidden by a quick one beside it, nor the other way round."""
    slow = "def label_function(text):\n    return sum(range(20_000)) % 2\n"
    quick, busy = tried(GOOD, slow)
    assert busy.row_s > 5 * quick.row_s


def test_a_slow_program_is_turned_away_before_it_costs_hours() -> None:
    """30 ms a row is legal for one row and not for a million."""
    slow = "def label_function(text):\n    return sum(range(1_500_000)) % 2\n"
    (trial,) = tried(slow)
    reasons = " ".join(TERMS.problems(trial))
    assert "CPU time" in reasons
    assert trial.row_s > TERMS.max_row_s


@pytest.mark.slow
def test_a_very_slow_program_is_not_waited_for() -> None:
    """It is stopped after twice the time of a batch, not after that of the sample."""
    slow = "def label_function(text):\n    return sum(range(2_000_000)) % 2\n"
    (trial,) = try_out([slow], TEXTS, num_classes=2, limits=Limits(), max_row_s=0.0005)
    assert trial.stopped is not None
    assert "CPU time" in trial.stopped


def test_a_program_that_often_fails_is_turned_away() -> None:
    """With the share of rows and the first message, which is what a repair needs."""
    said = problem("def label_function(text):\n    return 0 if text[-1] not in '34' else [][0]\n")
    assert "it fails on 20.0% of 300 rows" in said
    assert "IndexError" in said
    (trial,) = tried("def label_function(text):\n    return 0 if text[-1] != '3' else [][0]\n")
    assert TERMS.problems(trial) == (), "exactly as many as are allowed"


def test_rare_failures_are_let_through() -> None:
    """They abstain, and are counted; that is no reason to lose the program."""
    (trial,) = tried("def label_function(text):\n    return 1 if text != 'row 7' else [][0]\n")
    assert trial.error_fraction == pytest.approx(1 / 300)
    assert trial.message is not None
    assert TERMS.problems(trial) == ()


@pytest.mark.parametrize(
    "source",
    [
        "n = 0\ndef label_function(text):\n    global n\n    n += 1\n    return n % 2\n",
        "import random\ndef label_function(text):\n    return random.randint(0, 1)\n",
        "seen = set()\ndef label_function(text):\n    seen.add(text[:5])\n    return len(seen) % 2\n",
        "n = 0\ndef label_function(text):\n    global n\n    n += 1\n    return 1 if n != 5 else 'spam'\n",
    ],
    ids=["counter", "chance", "memory", "fault"],
)
def test_an_answer_that_depends_on_the_order_is_turned_away(source: str) -> None:
    """Shards may be cut and run in any order, so an answer must follow from the text alone."""
    assert "another order" in problem(source)


def test_a_cache_is_no_state_that_matters() -> None:
    """What a program remembers is its own affair as long as its answers stay the same."""
    source = (
        "cache = {}\ndef label_function(text):\n"
        "    if text not in cache:\n        cache[text] = len(text) % 2\n    return cache[text]\n"
    )
    (trial,) = tried(source)
    assert TERMS.problems(trial) == ()


def test_abstaining_too_much_can_be_refused() -> None:
    """Off by default: a program for a rare class may see none of it in a sample."""
    silent = "def label_function(text):\n    return -1\n"
    (trial,) = tried(silent)
    assert TERMS.problems(trial) == ()
    assert "abstains on 100.0%" in problem(silent, Terms(max_row_s=1, max_error_fraction=1, max_abstain_fraction=0.9))


def test_a_program_that_the_sandbox_stops_is_turned_away() -> None:
    """Whatever it was stopped for, and its neighbour is measured all the same."""
    endless = "def label_function(text):\n    while True: pass\n"
    trial, good = tried(endless, GOOD, limits=Limits(row_timeout_s=0.02, max_timeouts=3))
    assert "stopped on 300 rows" in TERMS.problems(trial)[0]
    assert TERMS.problems(good) == ()


def test_a_row_out_of_time_says_nothing_of_the_order() -> None:
    """It may end in time at the second try."""
    source = "n = 0\ndef label_function(text):\n    global n\n    n += 1\n    while n == 40: pass\n    return 1\n"
    (trial,) = tried(source, limits=Limits(row_timeout_s=0.02))
    assert trial.num_changed == 0
    assert trial.error_fraction == pytest.approx(1 / 300)


def test_no_rows_admit_everything() -> None:
    """There is nothing to hold against a program."""
    (trial,) = tried(GOOD, texts=pa.array([], pa.large_string()))
    assert trial.num_rows == 0
    assert TERMS.problems(trial) == ()
