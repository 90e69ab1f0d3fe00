"""Prices, token estimates and the budget."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BudgetReached, ConfigError
from engine.synthesis.money import (
    Spending,
    WorstCase,
    affordable_attempts,
    cost_of,
    estimate_tokens,
    worst_case,
)
from engine.task_parts import Budget, Price

PRICE = Price(input_per_million=1.0, output_per_million=2.0)
NOTHING = Spending(
    requests=0,
    tokens_in=0,
    tokens_out=0,
    estimated=0,
    cost=0.0,
    currency=None,
    unknown=None,
    unanswered=0,
    tokens_at_risk=0,
    cost_at_risk=0.0,
)


def test_tokens_are_bytes_over_three_rounded_up_and_a_frame() -> None:
    """Worked by hand: 7 bytes are 3 tokens, 2 characters of 3 bytes are 2, and each message adds 8."""
    assert estimate_tokens("seventh") == 3 + 8
    assert estimate_tokens("你好", "") == 2 + 8 + 0 + 8


def test_a_cost_is_tokens_times_price() -> None:
    """300 in at 1 a million and 100 out at 2 a million are 0.0005."""
    assert cost_of(PRICE, tokens_in=300, tokens_out=100) == 0.0005
    assert cost_of(None, tokens_in=300, tokens_out=100) is None


def test_the_worst_case_is_the_longest_answer() -> None:
    """The prompt's tokens and every output token that the answer may have."""
    worst = worst_case("seventh", max_output_tokens=100, price=PRICE)
    assert worst == WorstCase(tokens=111, cost=(11 + 2 * 100) / 1e6, currency="USD")


def test_without_a_budget_every_attempt_is_granted() -> None:
    """A budget is something that the user asks for."""
    assert affordable_attempts(NOTHING, WorstCase(tokens=9, cost=None, currency=None), budget=Budget(), wanted=5) == 5


@pytest.mark.parametrize(("limit", "granted"), [(1000, 5), (500, 5), (499, 4), (100, 1)])
def test_attempts_shrink_with_what_is_left(limit: int, granted: int) -> None:
    """Each attempt may be charged, so no more are granted than fit at 100 tokens each."""
    worst = WorstCase(tokens=100, cost=None, currency=None)
    assert affordable_attempts(NOTHING, worst, budget=Budget(tokens=limit), wanted=5) == granted


def test_a_request_that_could_pass_the_budget_is_refused_with_the_numbers() -> None:
    """The message gives the worst case, what is spent, what is at risk and the limit."""
    spending = replace(NOTHING, cost=0.25, currency="USD", unanswered=2, cost_at_risk=0.5)
    worst = WorstCase(tokens=100, cost=0.3, currency="USD")
    with pytest.raises(BudgetReached) as caught:
        affordable_attempts(spending, worst, budget=Budget(money=1.0), wanted=1)
    for number in ("0.300000 USD", "0.250000 is spent", "2 unanswered", "0.500000 USD more", "1.000000"):
        assert number in str(caught.value)


def test_money_that_exactly_fits_may_be_spent() -> None:
    """Ten requests of 0.1 fit into 1.0 although 0.1 is no binary fraction."""
    worst = WorstCase(tokens=1, cost=0.1, currency="USD")
    assert affordable_attempts(NOTHING, worst, budget=Budget(money=1.0), wanted=20) == 10


def test_a_free_model_fits_any_budget() -> None:
    """A price of zero is a price, and a budget of zero has room for it."""
    worst = WorstCase(tokens=100, cost=0.0, currency="USD")
    assert affordable_attempts(NOTHING, worst, budget=Budget(money=0.0), wanted=3) == 3


@pytest.mark.parametrize(
    ("spending", "worst"),
    [
        (NOTHING, WorstCase(tokens=1, cost=None, currency=None)),
        (replace(NOTHING, cost=None, unknown="no price"), WorstCase(tokens=1, cost=0.1, currency="USD")),
        (replace(NOTHING, cost=1.0, currency="EUR"), WorstCase(tokens=1, cost=0.1, currency="USD")),
    ],
)
def test_a_money_budget_that_cannot_be_checked_is_an_error(spending: Spending, worst: WorstCase) -> None:
    """Unknown prices and mixed currencies are never taken for zero."""
    with pytest.raises(ConfigError, match="budget"):
        affordable_attempts(spending, worst, budget=Budget(money=100.0), wanted=1)


@given(
    spent=st.integers(0, 10**6),
    risk=st.integers(0, 10**6),
    worst=st.integers(1, 10**5),
    limit=st.integers(0, 10**7),
    wanted=st.integers(1, 20),
)
def test_no_grant_can_pass_the_budget(spent: int, risk: int, worst: int, limit: int, wanted: int) -> None:
    """Whatever is granted fits even if every attempt is charged in full, and one more would not."""
    spending = replace(NOTHING, tokens_in=spent, tokens_at_risk=risk)
    case = WorstCase(tokens=worst, cost=None, currency=None)
    try:
        granted = affordable_attempts(spending, case, budget=Budget(tokens=limit), wanted=wanted)
    except BudgetReached:
        granted = 0
    assert spent + risk + granted * worst <= limit or granted == 0
    assert granted == wanted or spent + risk + (granted + 1) * worst > limit
