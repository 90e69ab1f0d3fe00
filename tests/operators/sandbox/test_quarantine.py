"""When a program is given up: too slow, too often wrong, too often killed. The others go on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from operators.sandbox.pool import Limits, Outcome
from operators.schema import ABSTAIN, Fault

Run = Callable[..., Outcome]

ONE = "def label_function(text):\n    return 1\n"
ENDLESS = "def label_function(text):\n    while True: pass\n"
LATE, GONE = Fault.TIMEOUT, Fault.QUARANTINED
BUSY = """
import time
def label_function(text):
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    return 0
"""
BLOCKED = """
import _thread
LOCK = _thread.allocate_lock()
LOCK.acquire()
def label_function(text):
    LOCK.acquire(True, 0.05)
    return 0
"""
# Every row makes it run out of memory, which gives it a fresh worker, in which it is slow to load.
RELOADED = """
import time
KEPT = bytearray(40 << 20)
for place in range(0, len(KEPT), 4096):
    KEPT[place] = 1
END = time.process_time() + 0.06
while time.process_time() < END:
    pass
def label_function(text):
    if text == "a":
        return 0
    raise MemoryError
"""


def test_ten_slow_rows_quarantine(run: Run) -> None:
    """A program that is always too slow is not waited for row by row."""
    outcome = run([ENDLESS], ["a"] * 12, limits=Limits(row_timeout_s=0.01))
    assert outcome.faults[:, 0].tolist() == [LATE] * 10 + [GONE] * 2
    assert "10 rows ran out of time" in str(outcome.quarantined[0])


def test_fewer_slow_rows_may_be_allowed(run: Run) -> None:
    """The number is a limit as others are."""
    outcome = run([ENDLESS, ONE], ["a"] * 5, limits=Limits(row_timeout_s=0.01, max_timeouts=3))
    assert outcome.faults[:, 0].tolist() == [LATE] * 3 + [GONE] * 2
    assert outcome.votes[:, 1].tolist() == [1] * 5


def test_swallowing_the_timeout_gains_nothing(run: Run) -> None:
    """The row that was stopped abstains and counts, even if the program catches the exception and votes."""
    source = """
def label_function(text):
    if text == "a":
        return 1
    try:
        while True: len(text)
    except:
        return 1
"""
    outcome = run([source], ["x", "a", "x", "a"], limits=Limits(row_timeout_s=0.01, max_timeouts=2))
    assert outcome.faults[:, 0].tolist() == [LATE, 0, LATE, GONE]
    assert outcome.votes[:, 0].tolist() == [ABSTAIN, 1, ABSTAIN, ABSTAIN]


@pytest.mark.slow
def test_three_kills_quarantine(run: Run) -> None:
    """A program that no signal interrupts is killed from outside, row by row, and then given up."""
    outcome = run(["def label_function(text):\n    return sum(range(10**14))\n", ONE], ["a"] * 6)
    assert outcome.faults[:, 0].tolist() == [LATE] * 3 + [GONE] * 3
    assert "3 of its rows had to be killed" in str(outcome.quarantined[0])
    assert outcome.votes[:, 1].tolist() == [1] * 6


@pytest.mark.parametrize("limits", [Limits(), Limits(batch_bytes=70)], ids=["whole", "cut"])
@pytest.mark.parametrize(("failing", "given_up"), [(101, True), (100, False)])
def test_more_than_half_of_the_first_rows_failing_quarantines(
    run: Run, failing: int, given_up: bool, limits: Limits
) -> None:
    """The first 200 rows decide, also where no batch ends with them; exactly half is not yet too many."""
    rows = ["x" if row < failing else "y" for row in range(300)]
    outcome = run(["def label_function(text):\n    return {'y': 1}[text]\n", ONE], rows, limits=limits)
    assert (outcome.faults[:failing, 0] == Fault.EXCEPTION).all()
    assert (outcome.faults[failing:200, 0] == 0).all()
    assert (outcome.faults[280:, 0] == (GONE if given_up else 0)).all()
    assert (outcome.quarantined[0] is not None) == given_up
    assert not outcome.faults[:, 1].any()


def test_a_batch_has_a_limit_whatever_its_rows_take(run: Run) -> None:
    """Rows below their own limit add up; the row at which that is too much is the program's last."""
    outcome = run([BUSY, ONE], ["a"] * 50, limits=Limits(batch_timeout_s=0.2))
    faults = outcome.faults[:, 0].tolist()
    last = faults.index(LATE)
    assert 5 <= last <= 25
    assert faults == [0] * last + [LATE] + [GONE] * (49 - last)
    assert "of CPU time on a batch of 50 rows" in str(outcome.quarantined[0])
    assert outcome.votes[:, 0].tolist() == [0] * last + [ABSTAIN] * (50 - last)
    assert outcome.votes[:, 1].tolist() == [1] * 50


def test_the_limit_is_of_a_batch_not_of_a_run(run: Run) -> None:
    """Each batch starts its account anew, so that a larger corpus is no offence."""
    outcome = run([BUSY], ["a"] * 20, limits=Limits(batch_timeout_s=0.2, batch_rows=4, sample_rows=4))
    assert not outcome.faults.any()
    assert outcome.cpu_s[0] > 0.3


@pytest.mark.slow
def test_waiting_counts_for_a_batch_too(run: Run) -> None:
    """A program that escaped its namespace may wait for a lock: each row below the limit, and no CPU time used."""
    outcome = run([BLOCKED, ONE], ["a"] * 60, limits=Limits(batch_timeout_s=0.5, restricted=False))
    assert LATE in outcome.faults[:, 0]
    assert "it was blocked for" in str(outcome.quarantined[0])
    assert outcome.votes[:, 1].tolist() == [1] * 60


@pytest.mark.slow
def test_loading_again_counts_for_a_batch_too(run: Run) -> None:
    """Otherwise a row that needs a fresh worker costs the seconds of a load, and a batch hours."""
    limits = Limits(batch_timeout_s=0.4, recycle_bytes=32 << 20)
    outcome = run([RELOADED, ONE], ["a"] * 4 + ["x"] * 60, limits=limits)
    faults = outcome.faults[:, 0].tolist()
    assert faults[4:6] == [Fault.MEMORY] * 2
    assert faults[-1] == GONE
    assert "of CPU time on a batch of 64 rows" in str(outcome.quarantined[0])
    assert outcome.votes[:, 1].tolist() == [1] * 64
