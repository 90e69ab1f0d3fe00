"""What the programs cost, and what asking for each label would have cost; unknown is never zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.prices import price_of
from engine.reporting.asked import ModelMoney, Money
from engine.synthesis.estimates import direct_labeling_estimate
from engine.synthesis.ledger import Ledger
from engine.synthesis.money import Spending
from engine.synthesis.provenance import Provenance
from engine.task import LabelingTask


def spending(
    task: LabelingTask,
    *,
    ledger: Path,
    programs: Sequence[Provenance],
    num_rows: int,
    text_bytes: int,
    annotator: Mapping[str, Any] | None = None,
) -> Money:
    """Add up what is known: the ledger where this run asked a model for programs, else the programs' headers.

    Beside headers stands what the annotator took (`annotator`, its facts), which no header tells.
    """
    annotator = annotator or {}
    direct, why_direct = direct_labeling_estimate(num_rows=num_rows, text_bytes=text_bytes, task=task)
    price = None if task.language_model is None else price_of(task.language_model)
    given = None if task.language_model is None else task.language_model.price
    currency = None if price is None else price.currency
    totals, models = _ledger(ledger)
    if task.programs.folder is None and totals is not None:
        spent = totals.cost
        tokens_in: int | None = totals.tokens_in
        tokens_out: int | None = totals.tokens_out
        why_spent, currency = totals.unknown, totals.currency or currency
    else:
        prices = [p.price for p in programs]
        currencies = {p.currency for p in programs if p.currency is not None}
        if annotator:
            prices.append(annotator["spent"])
            currencies |= {annotator["currency"]} - {None}
        known = all(price is not None for price in prices) and len(currencies) <= 1
        spent = sum(price for price in prices if price is not None) if known else None
        why_spent = None if known else _why(programs, annotator, currencies)
        tokens_in = _total([*(p.tokens_in for p in programs), annotator.get("tokens_in", 0)])
        tokens_out = _total([*(p.tokens_out for p in programs), annotator.get("tokens_out", 0)])
        currency = currencies.pop() if known and currencies else currency
    reasons = [reason for reason in (why_spent, why_direct) if reason is not None]
    return Money(
        spent=spent,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        direct_labeling_estimate=direct,
        currency=currency,
        reason="; ".join(dict.fromkeys(reasons)) or None,
        price_as_of=price.as_of if price is not None and given is None else None,
        unanswered=0 if totals is None else totals.unanswered,
        at_risk=0.0 if totals is None else totals.cost_at_risk,
        by_model=models,
    )


def _ledger(path: Path) -> tuple[Spending | None, tuple[ModelMoney, ...]]:
    if not path.exists():
        return None, ()
    with Ledger.open(path) as opened:
        return opened.totals(), tuple(
            ModelMoney(
                model=model,
                requests=s.requests,
                tokens_in=s.tokens_in,
                tokens_out=s.tokens_out,
                spent=s.cost,
                currency=s.currency,
            )
            for model, s in opened.by_model().items()
        )


def _why(programs: Sequence[Provenance], annotator: Mapping[str, Any], currencies: set[str]) -> str:
    if any(p.price is None for p in programs):
        return "the headers of the programs do not say what they cost"
    if len(currencies) > 1:
        return f"requests were priced in {' and '.join(sorted(currencies))}"
    return f"no price is known for {', '.join(annotator['models'])}, which labeled rows"


def _total(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
