"""What a run says it cost: the ledger's sum, the programs' headers, or unknown; never a zero that nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.stages.money import spending
from engine.synthesis.provenance import Provenance
from engine.task import LabelingTask


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
    """10 rows: the instruction and frame each time, a quarter of the bytes, three tokens out."""
    price = {"input_per_million": 1.0, "output_per_million": 10.0, "currency": "EUR"}
    priced = task(language_model={"model": "m", "price": price})
    programs = [bought(0.1, currency="EUR")]
    money = spending(priced, ledger=tmp_path / "none", programs=programs, num_rows=10, text_bytes=4000)
    # 40 frame tokens and 4 for "\nLabel it.\na: \nb: " (18 bytes).
    assert money.direct_labeling_estimate == pytest.approx((10 * 44 + 1000 + 10 * 3 * 10) / 1e6)
    assert money.currency == "EUR"
    assert money.reason is None
