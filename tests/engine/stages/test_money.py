"""What a run says it cost: the ledger's sum, the programs' headers, or unknown; never a zero that nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.stages.money import spending
from engine.synthesis.annotator import question
from engine.synthesis.ledger import Ledger
from engine.synthesis.money import WorstCase
from engine.synthesis.provenance import Provenance
from engine.task import LabelingTask
from engine.task_parts import Budget


def task(**changes: Any) -> LabelingTask:
    values: dict[str, Any] = {
        "name": "t",
        "data": {"source": "x.csv"},
        "classes": [{"name": "a"}, {"name": "b"}],
        "instruction": "Label it.",
        "programs": {"folder": "p"},
    }
    return LabelingTask.model_validate(values | changes)


def bought(price: float | None, tokens: int | None = 5, currency: str | None = "USD") -> Provenance:
    return Provenance(
        model="m", prompt_digest=None, tokens_in=tokens, tokens_out=tokens, price=price, currency=currency
    )


def test_headers_add_up(tmp_path: Path):
    """Programs with known prices cost their sum."""
    money = spending(
        task(), ledger=tmp_path / "none", programs=[bought(0.25), bought(0.5)], num_rows=10, text_bytes=100
    )
    assert money.spent == 0.75
    assert money.tokens_in == 10
    assert money.currency == "USD"
    assert money.direct_labeling_estimate is None
    assert money.reason == "no `language_model` is given"


def test_one_unknown_price_makes_the_sum_unknown(tmp_path: Path):
    """A header that says nothing is unknown, not free."""
    programs = [bought(0.25), bought(None, tokens=None, currency=None)]
    money = spending(task(), ledger=tmp_path / "none", programs=programs, num_rows=10, text_bytes=100)
    assert money.spent is None
    assert money.tokens_in is None
    assert "headers of the programs do not say" in str(money.reason)


def test_direct_labeling_is_estimated_from_the_model_s_price(tmp_path: Path):
    """10 rows: the annotator's question and frame each time, a quarter of the bytes, three tokens out."""
    price = {"input_per_million": 1.0, "output_per_million": 10.0, "currency": "EUR"}
    priced = task(language_model={"model": "m", "price": price})
    programs = [bought(0.1, currency="EUR")]
    money = spending(priced, ledger=tmp_path / "none", programs=programs, num_rows=10, text_bytes=4000)
    asked = question(priced, "")
    each = 8 + len((asked.system + asked.user).encode()) // 4
    assert 80 < each < 200
    assert money.direct_labeling_estimate == pytest.approx((10 * each + 1000 + 10 * 3 * 10) / 1e6)
    assert money.currency == "EUR"
    assert money.reason is None


def test_what_the_annotator_took_is_added_to_the_headers(tmp_path: Path):
    """No header tells of it; another currency makes the sum unknown, with the reason."""
    facts: dict[str, Any] = {"spent": 0.5, "currency": "USD", "tokens_in": 7, "tokens_out": 1, "models": ["m"]}
    args: dict[str, Any] = {"ledger": tmp_path / "none", "programs": [bought(0.25)], "num_rows": 1, "text_bytes": 1}
    money = spending(task(), annotator=facts, **args)
    assert (money.spent, money.tokens_in, money.currency) == (0.75, 12, "USD")
    mixed = spending(task(), annotator=facts | {"currency": "EUR"}, **args)
    assert mixed.spent is None
    assert "EUR and USD" in str(mixed.reason)
    unpriced = spending(task(), annotator=facts | {"spent": None, "currency": None}, **args)
    assert "no price is known for m" in str(unpriced.reason)


def test_the_ledger_tells_of_models_and_of_money_at_risk(tmp_path: Path):
    """A reservation that never got its answer is shown apart from what is spent."""
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        worst = WorstCase(tokens=10, cost=0.5, currency="USD")
        ledger.reserve({"model": "m", "messages": []}, worst=worst, budget=Budget(), attempts=2)
    listed = task(programs={"count": 1}, language_model={"model": "gpt-4o"})
    money = spending(listed, ledger=tmp_path / "l.sqlite", programs=[], num_rows=1, text_bytes=1)
    assert (money.spent, money.unanswered, money.at_risk) == (0.0, 2, 1.0)
    assert money.price_as_of == "2024-10-01"
    assert [m.model for m in money.by_model] == ["m"]
