"""The header of a program, written and read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.synthesis.prompts import Prompt
from engine.synthesis.provenance import Provenance, header, read_header

PROMPT = Prompt(system="Write programs.", user="Label a comment.\n\nmodel: none of your business")


def written(
    *,
    prompt: Prompt = PROMPT,
    model: str = "gpt-x",
    cost: float | None = 0.000361,
    currency: str | None = "USD",
    estimated: bool = False,
) -> str:
    return header(
        task="comments",
        variant=3,
        prompt=prompt,
        model=model,
        tokens_in=812,
        tokens_out=402,
        tokens_estimated=estimated,
        cost=cost,
        currency=currency,
    )


def test_what_is_written_is_read_back() -> None:
    """Model, prompt digest, tokens and price come back as they were."""
    assert read_header(written()) == Provenance(
        model="gpt-x",
        prompt_digest=PROMPT.digest,
        tokens_in=812,
        tokens_out=402,
        price=0.000361,
        currency="USD",
    )


def test_the_prompt_can_be_read_in_full() -> None:
    """The prompt stands in the header line by line, as comments."""
    text = written()
    assert "#   Write programs.\n" in text
    assert "#   Label a comment.\n#\n#   model: none of your business\n" in text


def test_an_unknown_price_is_none_and_not_zero() -> None:
    """Unknown is said in words, and a price of zero stays a price."""
    assert read_header(written(cost=None, currency=None)).price is None
    assert read_header(written(cost=0.0)).price == 0.0


def test_estimated_tokens_are_marked() -> None:
    """A reader sees that the endpoint reported no usage; the number is still read."""
    assert "# tokens in: 812 (estimated)" in written(estimated=True)
    assert read_header(written(estimated=True)).tokens_in == 812


def test_the_price_of_a_single_cheap_token_is_not_rounded_away() -> None:
    """A price below a millionth survives the file."""
    assert read_header(written(cost=5e-8)).price == 5e-8


def test_a_header_by_hand_says_nothing_about_money() -> None:
    """A program that people wrote has no provenance, and reading it is no error."""
    unknown = read_header("# by Ann\n# approach: links\n#\n\n")
    assert unknown == Provenance(
        model=None, prompt_digest=None, tokens_in=None, tokens_out=None, price=None, currency=None
    )


@pytest.mark.slow
@given(st.text(), st.text())
def test_no_prompt_and_no_model_name_can_break_out_of_the_comments(prompt: str, model: str) -> None:
    """Whatever they hold, every line is a comment, and the keys keep their values."""
    text = written(prompt=Prompt(system=prompt, user=prompt), model=model)
    assert all(line.startswith("#") for line in text.splitlines())
    assert read_header(text).tokens_in == 812
    assert text.isascii() or text.encode()
