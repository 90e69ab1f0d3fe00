"""What requests cost: tokens, prices and whether the next request still fits the budget.

An unknown price stays unknown (None with a reason) all the way to the report, because a zero would be
believed. A request that got no answer (a timeout, a cut connection, a killed process) may have been charged
all the same; its worst case counts against the budget until somebody knows better.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import BudgetReached, ConfigError
from engine.task_parts import Budget, Price

_TOKENS_OF_A_MESSAGE = 8
"""Role and separators of one chat message; published chat formats use 3 to 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a ledger holds, added up.

    Attributes:
        requests: how many were answered, usable or not.
        tokens_in: of the answered requests.
        tokens_out: of the answered requests.
        estimated: how many of these requests have estimated tokens, as their endpoint reported none.
        cost: of the answered requests; None where a price is unknown.
        currency: None where nothing was priced.
        unknown: why `cost` is None.
        unanswered: attempts that got no answer, or wait for it now, and may have been charged.
        tokens_at_risk: the most that those can have used.
        cost_at_risk: the most that those can have cost; None where a price is unknown.
    """

    requests: int
    tokens_in: int
    tokens_out: int
    estimated: int
    cost: float | None
    currency: str | None
    unknown: str | None
    unanswered: int
    tokens_at_risk: int
    cost_at_risk: float | None


def spending_of(answered: Sequence[Any], at_risk: Sequence[Any]) -> Spending:
    """Add up rows of a ledger; one unknown price or a second currency makes the sum of money unknown.

    Args:
        answered: (model, tokens in, tokens out, estimated, cost, currency) of each answered request.
        at_risk: (model, attempts, tokens, cost, currency) of each with unanswered attempts; the worst of one.
    """
    unpriced = {asked for asked, *_, cost, _ in [*answered, *at_risk] if cost is None}
    currencies = sorted({row[-1] for row in [*answered, *at_risk]} - {None})
    unknown = None
    if unpriced:
        unknown = f"no price was given for {', '.join(sorted(unpriced))}"
    elif len(currencies) > 1:
        unknown = f"requests were priced in {' and '.join(currencies)}"
    return Spending(
        requests=len(answered),
        tokens_in=sum(row[1] for row in answered),
        tokens_out=sum(row[2] for row in answered),
        estimated=sum(row[3] for row in answered),
        cost=None if unknown else math.fsum(row[4] for row in answered),
        currency=currencies[0] if len(currencies) == 1 else None,
        unknown=unknown,
        unanswered=sum(row[1] for row in at_risk),
        tokens_at_risk=sum(row[1] * row[2] for row in at_risk),
        cost_at_risk=None if unknown else math.fsum(row[1] * row[3] for row in at_risk),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """The most that one attempt at a request can use.

    Attributes:
        cost: None where the price is unknown.
    """

    tokens: int
    cost: float | None
    currency: str | None


def estimate_tokens(*texts: str) -> int:
    """Estimate the tokens of chat messages from above: a token for every 3 bytes of UTF-8, rounded up.

    English takes about 4 bytes a token and Chinese about 3, so this is rarely passed: a bound for budgets in
    practice, not a proof, and never what an answered request is billed by where its endpoint reports usage.

    Example:
        >>> estimate_tokens("Label a comment.")
        14
    """
    return sum(math.ceil(len(t.encode("utf-8", "replace")) / 3) + _TOKENS_OF_A_MESSAGE for t in texts)


def cost_of(price: Price | None, *, tokens_in: int, tokens_out: int) -> float | None:
    """Price of some tokens in the price's currency; None where there is no price."""
    if price is None:
        return None
    return (tokens_in * price.input_per_million + tokens_out * price.output_per_million) / 1e6


def worst_case(*texts: str, max_output_tokens: int, price: Price | None) -> WorstCase:
    """Bound one attempt at sending `texts` and getting the longest answer."""
    tokens_in = estimate_tokens(*texts)
    return WorstCase(
        tokens=tokens_in + max_output_tokens,
        cost=cost_of(price, tokens_in=tokens_in, tokens_out=max_output_tokens),
        currency=None if price is None else price.currency,
    )


def affordable_attempts(spending: Spending, worst: WorstCase, *, budget: Budget, wanted: int) -> int:
    """How often a request may be sent, at most `wanted` times, without any way to pass the budget.

    Each attempt counts with its worst case: a request that timed out here may have been answered there, and
    charged.

    Returns:
        1..wanted.

    Raises:
        BudgetReached: not one attempt fits; the message gives what is spent, the limit and the worst case.
        ConfigError: the budget is in money and what is spent cannot be counted in it.
    """
    attempts = wanted
    if budget.tokens is not None:
        spent, risk = spending.tokens_in + spending.tokens_out, spending.tokens_at_risk
        attempts = min(attempts, _fitting(budget.tokens - spent - risk, worst.tokens))
        if attempts < 1:
            at_risk = _at_risk(spending.unanswered, f"{risk} tokens")
            raise BudgetReached(
                f"the next request may use up to {worst.tokens} tokens; {spent} are spent{at_risk} and "
                f"`budget.tokens` is {budget.tokens}. {_RAISE}"
            )
    if budget.money is not None:
        cost, cost_at_risk, next_cost, currency = _in_one_currency(spending, worst)
        attempts = min(attempts, _fitting(budget.money - cost - cost_at_risk, next_cost))
        if attempts < 1:
            at_risk = _at_risk(spending.unanswered, f"{cost_at_risk:.6f} {currency}")
            raise BudgetReached(
                f"the next request may cost up to {next_cost:.6f} {currency}; {cost:.6f} is spent{at_risk} "
                f"and `budget.money` is {budget.money:.6f}. {_RAISE}"
            )
    return attempts


_RAISE = "Raise the budget and run again: what is answered is kept"


def _fitting(left: float, each: float) -> int:
    if left < 0:
        return 0
    # The slack forgives the rounding of a sum of prices, far below any unit of money.
    return sys.maxsize if each == 0 else math.floor(left / each + 1e-9)


def _at_risk(unanswered: int, amount: str) -> str:
    return f", {unanswered} unanswered attempts may have used {amount} more" if unanswered else ""


def _in_one_currency(spending: Spending, worst: WorstCase) -> tuple[float, float, float, str]:
    if worst.cost is None or worst.currency is None:
        raise ConfigError("`budget.money` needs `language_model.price`; give the price, or a budget in tokens")
    if spending.cost is None or spending.cost_at_risk is None:
        raise ConfigError(f"`budget.money` cannot be checked: {spending.unknown}. {_START_ANEW}")
    if spending.currency not in (None, worst.currency):
        raise ConfigError(
            f"`budget.money` cannot be checked: this run has spent {spending.currency}, "
            f"and `language_model.price` is in {worst.currency}. {_START_ANEW}"
        )
    return spending.cost, spending.cost_at_risk, worst.cost, worst.currency


_START_ANEW = "Use a new run directory, or a budget in tokens"
