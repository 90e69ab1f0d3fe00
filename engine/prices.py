"""Where requests go and what they are priced at: the task file's price, else the dated table beside this file.

The table holds list prices of vendors at their own addresses alone. A server anywhere else, on this machine too, has
the price that the task file gives, or an unknown one: never zero, because a zero would be believed.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from engine.task_parts import LanguageModelSpec, Price, TaskModel

TABLE = Path(__file__).with_name("prices.yaml")

_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
"""What vendors hang on a model's name to name one state of it."""

_OWN = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


class ListPrice(TaskModel):
    """One line of the table; `host` is where the price holds, `source` where it was read, `as_of` when."""

    models: tuple[str, ...]
    host: str
    input_per_million: float
    output_per_million: float
    currency: str
    as_of: str
    source: str


def base_url(spec: LanguageModelSpec) -> str:
    """Return where requests go: the task file decides, no environment variable does."""
    return spec.base_url or _OWN[spec.provider]


def price_of(spec: LanguageModelSpec) -> Price | None:
    """Return the task file's price, else the table's; None where the price is unknown."""
    if spec.price is not None:
        return spec.price
    listed = list_price(spec)
    if listed is None:
        return None
    return Price(
        input_per_million=listed.input_per_million,
        output_per_million=listed.output_per_million,
        currency=listed.currency,
        as_of=listed.as_of,
    )


def list_price(spec: LanguageModelSpec) -> ListPrice | None:
    """Return the table's line for a model at its vendor's own address; a dated snapshot has the price of its model."""
    host = urlsplit(base_url(spec)).hostname
    lines = {(line.host, name): line for line in _table() for name in line.models}
    return lines.get((host or "", spec.model)) or lines.get((host or "", _SNAPSHOT.sub("", spec.model)))


def why_unknown(spec: LanguageModelSpec | None) -> str | None:
    """Say why the price of a model is unknown; None where it is known."""
    if spec is None:
        return "no `language_model` is given"
    if price_of(spec) is not None:
        return None
    table = f"the table of list prices (of {max(line.as_of for line in _table())}) has none for it"
    return f"`language_model.price` is not given for {spec.model}, and {table} at {base_url(spec)}"


@cache
def _table() -> tuple[ListPrice, ...]:
    return tuple(ListPrice.model_validate(line) for line in yaml.safe_load(TABLE.read_text(encoding="utf-8")))
