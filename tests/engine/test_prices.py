"""The table of list prices: dated, at the vendors' own addresses, and never a zero that nobody said."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from engine.prices import TABLE, ListPrice, list_price, price_of, why_unknown
from engine.task_parts import LanguageModelSpec


def spec(model: str, **changes: Any) -> LanguageModelSpec:
    return LanguageModelSpec.model_validate({"model": model} | changes)


def test_every_line_is_dated_sourced_and_above_zero() -> None:
    """A line says when and where it was read; no model stands there twice."""
    lines = [ListPrice.model_validate(line) for line in yaml.safe_load(TABLE.read_text())]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", line.as_of) and line.source.startswith("https://") for line in lines)
    assert all(0 < line.input_per_million < line.output_per_million for line in lines)
    names = [(line.host, model) for line in lines for model in line.models]
    assert len(names) == len(set(names))


def test_a_snapshot_has_the_price_of_its_model_unless_it_has_its_own() -> None:
    """A longer name that is no date is another model."""
    today = price_of(spec("gpt-4o-2024-08-06"))
    assert today is not None
    assert (today.input_per_million, today.output_per_million, today.currency) == (2.5, 10.0, "USD")
    assert today.as_of == "2024-10-01"
    first = price_of(spec("gpt-4o-2024-05-13"))
    assert first is not None
    assert first.input_per_million == 5.0
    assert price_of(spec("gpt-4o-audio-preview")) is None
    assert price_of(spec("claude-haiku-4-5-20251001", provider="anthropic")) is not None


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/v1", "https://proxy.example/v1", "http://api.openai.com.evil.example/v1"]
)
def test_another_address_has_the_price_that_the_user_gives(url: str) -> None:
    """A server of one's own is not free unless one says so."""
    assert price_of(spec("gpt-4o", base_url=url)) is None
    assert url in str(why_unknown(spec("gpt-4o", base_url=url)))
    free = spec("gpt-4o", base_url=url, price={"input_per_million": 0, "output_per_million": 0})
    assert price_of(free) == free.price
    assert why_unknown(free) is None


def test_the_task_file_goes_before_the_table() -> None:
    """A price that is given is taken, whatever the table says."""
    given = {"input_per_million": 7.0, "output_per_million": 8.0, "currency": "EUR"}
    assert price_of(spec("gpt-4o", price=given)) == spec("gpt-4o", price=given).price


def test_a_model_that_is_not_listed_is_unknown_with_the_date_of_the_table() -> None:
    """The reason names the model."""
    assert list_price(spec("gpt-9")) is None
    assert re.search(r"gpt-9, and the table of list prices \(of 20\d\d-", str(why_unknown(spec("gpt-9"))))


def test_the_key_of_a_provider_is_looked_for_under_its_name() -> None:
    """Unless another name is given."""
    assert spec("m").api_key_env == "OPENAI_API_KEY"
    assert spec("m", provider="anthropic").api_key_env == "ANTHROPIC_API_KEY"
    assert spec("m", provider="anthropic", api_key_env="MINE").api_key_env == "MINE"
