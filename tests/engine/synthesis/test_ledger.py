"""The ledger: answers that survive, and sums that are right."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import BudgetReached, ConfigError, EngineError
from engine.synthesis.ledger import Ledger
from engine.synthesis.money import WorstCase
from engine.synthesis.records import Entry, request_key
from engine.task_parts import Budget

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "héllo"}], "variant": 0}
WORST = WorstCase(tokens=1000, cost=0.01, currency="USD")
ENTRY = Entry(
    status="answered",
    answer="def\nlabel",
    problem=None,
    model="m-1",
    tokens_in=300,
    tokens_out=100,
    tokens_estimated=False,
    cost=0.005,
    currency="USD",
)


def buy(ledger: Ledger, entry: Entry = ENTRY, **changes: object) -> None:
    ledger.record(ledger.reserve(REQUEST | changes, worst=WORST, budget=Budget()), entry)


def test_an_answer_is_found_again_by_its_request(tmp_path: Path) -> None:
    """What was recorded comes back from a new opening of the file, and from no other request."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        assert ledger.get(request_key(REQUEST)) is None
        buy(ledger)
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        assert ledger.get(request_key(REQUEST)) == ENTRY
        assert ledger.get(request_key(REQUEST | {"variant": 1})) is None


def test_the_key_depends_on_values_and_not_on_their_order() -> None:
    """Two ways to write one request are one request."""
    assert request_key(REQUEST) == request_key(dict(reversed(REQUEST.items())))
    assert request_key(REQUEST) != request_key(REQUEST | {"model": "n"})


def test_an_empty_ledger_has_spent_nothing(tmp_path: Path) -> None:
    """Nothing asked is a known cost of zero."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        spending = ledger.totals()
    assert (spending.requests, spending.cost, spending.unknown, spending.unanswered) == (0, 0.0, None, 0)


def test_totals_add_up_usable_and_unusable_answers(tmp_path: Path) -> None:
    """An unusable answer was paid like any other."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        buy(ledger)
        buy(
            ledger,
            replace(ENTRY, status="unusable", problem="empty", answer="", tokens_estimated=True),
            variant=1,
        )
        spending = ledger.totals()
    assert (spending.requests, spending.tokens_in, spending.tokens_out, spending.estimated) == (
        2,
        600,
        200,
        1,
    )
    assert (spending.cost, spending.currency) == (0.01, "USD")


def test_one_unknown_price_makes_the_sum_unknown(tmp_path: Path) -> None:
    """A sum with a hole in it is None with the model's name, not the sum of the rest."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        buy(ledger)
        buy(ledger, replace(ENTRY, cost=None, currency=None), model="unpriced")
        spending = ledger.totals()
    assert spending.cost is None
    assert spending.unknown == "no price was given for unpriced"


def test_two_currencies_are_not_added(tmp_path: Path) -> None:
    """Dollars and euros have no sum."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        buy(ledger)
        buy(ledger, replace(ENTRY, currency="EUR"), variant=1)
        spending = ledger.totals()
    assert (spending.cost, spending.currency) == (None, None)
    assert spending.unknown == "requests were priced in EUR and USD"


def test_each_model_is_added_up_at_its_own_price(tmp_path: Path) -> None:
    """An unknown price of one model leaves the other's sum known."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        buy(ledger)
        buy(ledger, replace(ENTRY, cost=0.5), model="dear")
        buy(ledger, replace(ENTRY, cost=None, currency=None), model="unpriced")
        models = ledger.by_model()
    assert {name: s.cost for name, s in models.items()} == {"m": 0.005, "dear": 0.5, "unpriced": None}
    assert [s.requests for s in models.values()] == [1, 1, 1]


def test_a_reservation_counts_until_it_is_answered(tmp_path: Path) -> None:
    """A request that may be charged takes its worst case from the budget, attempt by attempt."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        reservation = ledger.reserve(REQUEST, worst=WORST, budget=Budget(tokens=3500), attempts=5)
        assert reservation.attempts == 3
        assert (ledger.totals().tokens_at_risk, ledger.totals().cost_at_risk) == (3000, 0.03)
        with pytest.raises(BudgetReached):
            ledger.reserve(REQUEST | {"variant": 1}, worst=WORST, budget=Budget(tokens=3500))
        ledger.record(reservation, ENTRY, unanswered=1)
        assert (ledger.totals().unanswered, ledger.totals().tokens_at_risk) == (1, 1000)
        assert ledger.totals().tokens_in == 300


def test_a_reservation_that_was_never_charged_is_forgotten(tmp_path: Path) -> None:
    """A refused request costs nothing; one that timed out stays at risk."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.settle(ledger.reserve(REQUEST, worst=WORST, budget=Budget()), unanswered=0)
        assert ledger.totals().unanswered == 0
        ledger.settle(ledger.reserve(REQUEST, worst=WORST, budget=Budget(), attempts=5), unanswered=2)
        assert (ledger.totals().unanswered, ledger.totals().cost_at_risk) == (2, 0.02)
        assert ledger.get(request_key(REQUEST)) is None


def test_a_refused_reservation_leaves_nothing_behind(tmp_path: Path) -> None:
    """The budget is checked before anything is put down."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        with pytest.raises(BudgetReached):
            ledger.reserve(REQUEST, worst=WORST, budget=Budget(tokens=999))
        assert ledger.totals().unanswered == 0


def test_two_answers_to_one_request_are_both_billed(tmp_path: Path) -> None:
    """Two processes that asked at once have both paid; the first answer stands."""
    with Ledger.open(tmp_path / "l.sqlite") as one, Ledger.open(tmp_path / "l.sqlite") as two:
        first = one.reserve(REQUEST, worst=WORST, budget=Budget())
        second = two.reserve(REQUEST, worst=WORST, budget=Budget())
        two.record(second, replace(ENTRY, answer="second"))
        one.record(first, ENTRY)
        assert one.totals().requests == 2
        assert two.get(request_key(REQUEST)) == ENTRY


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Neither another database nor another file is written to."""
    (tmp_path / "text").write_text("these are notes and not a database, long enough to be read as a header" * 20)
    before = (tmp_path / "text").read_bytes()
    with pytest.raises(ConfigError, match="ledger"):
        Ledger.open(tmp_path / "text")
    assert (tmp_path / "text").read_bytes() == before
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE things (id)")
    other.close()
    with pytest.raises(ConfigError, match="move it away"):
        Ledger.open(tmp_path / "other.sqlite")


def test_a_folder_that_does_not_exist_is_an_error_of_the_user(tmp_path: Path) -> None:
    """The message names the path."""
    with pytest.raises(ConfigError, match="absent"):
        Ledger.open(tmp_path / "absent" / "l.sqlite")


def test_trouble_with_the_file_is_an_error_of_the_engine(tmp_path: Path) -> None:
    """SQLite's own errors do not escape, and the message names the path."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.close()
        with pytest.raises(EngineError, match="l.sqlite"):
            ledger.totals()
