"""What the programs cost, and what asking for each label would have cost; unknown is never zero."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.reporting.parts import Money
from engine.synthesis.estimates import direct_labeling_estimate
from engine.synthesis.ledger import Ledger
from engine.synthesis.provenance import Provenance
from engine.task import LabelingTask


def spending(
    task: LabelingTask, *, ledger: Path, programs: Sequence[Provenance], num_rows: int, text_bytes: int
) -> Money:
    """Add up what is known: the ledger where this run asked a model itself, else the headers of the programs."""
    direct, why_direct = direct_labeling_estimate(num_rows=num_rows, text_bytes=text_bytes, task=task)
    price = None if task.language_model is None else task.language_model.price
    currency = None if price is None else price.currency
    if task.programs.folder is None and ledger.exists():
        with Ledger.open(ledger) as opened:
            totals = opened.totals()
        spent = totals.cost
        tokens_in: int | None = totals.tokens_in
        tokens_out: int | None = totals.tokens_out
        why_spent, currency = totals.unknown, totals.currency or currency
    else:
        prices = [p.price for p in programs]
        currencies = {p.currency for p in programs if p.currency is not None}
        known = all(price is not None for price in prices) and len(currencies) <= 1
        spent = sum(price for price in prices if price is not None) if known else None
        why_spent = None if known else "the headers of the programs do not say what they cost"
        tokens_in = _total([p.tokens_in for p in programs])
        tokens_out = _total([p.tokens_out for p in programs])
        currency = currencies.pop() if known and currencies else currency
    reasons = [reason for reason in (why_spent, why_direct) if reason is not None]
    return Money(
        spent=spent,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        direct_labeling_estimate=direct,
        currency=currency,
        reason="; ".join(reasons) or None,
    )


def _total(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
