"""A language model behind a server that misbehaves on purpose."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BudgetReached, LLMError
from engine.synthesis.ledger import Ledger
from engine.synthesis.llm import OpenAIModel, ScriptedLLM, UnusableAnswer
from engine.synthesis.prompts import Prompt
from engine.task_parts import Budget, LanguageModelSpec

PROMPT = Prompt(system="Write programs.", user="Label a comment.")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "completions.sqlite") as opened:
        yield opened


def ask(server: Any, ledger: Ledger, *, budget: Budget | None = None, variant: int = 0, **spec: object) -> Any:
    with OpenAIModel(server.spec(**spec), ledger, budget or Budget()) as model:
        return model.complete(PROMPT, variant=variant)


def test_an_answer_is_paid_recorded_and_returned(server: Any, ledger: Ledger) -> None:
    """300 tokens in and 100 out at 1 and 2 dollars a million are 0.0005 dollars, here and in the ledger."""
    completion = ask(server, ledger)
    assert server.CODE in completion.text
    assert (completion.model, completion.cached) == ("model-2026-01-01", False)
    assert (completion.tokens_in, completion.tokens_out, completion.cost) == (300, 100, 0.0005)
    spending = ledger.totals()
    assert (spending.requests, spending.cost, spending.unanswered) == (1, 0.0005, 0)


def test_an_answer_in_the_ledger_is_not_asked_for_again(
    server: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run sends nothing, needs no key, pays nothing and returns the same answer."""
    bought = ask(server, ledger)
    monkeypatch.delenv("OPENAI_API_KEY")
    again = ask(server, ledger, budget=Budget(tokens=0))
    assert again.cached
    assert (again.text, again.cost, again.model) == (bought.text, bought.cost, bought.model)
    assert len(server.requests) == 1
    assert ledger.totals().requests == 1


def test_another_variant_is_another_question(server: Any, ledger: Ledger) -> None:
    """The same words under two variants are two samples of the model."""
    ask(server, ledger)
    assert not ask(server, ledger, variant=1).cached
    assert len(server.requests) == 2


def test_the_request_carries_only_what_the_task_asks_for(server: Any, ledger: Ledger) -> None:
    """No temperature is sent unless given; prompt, model and limit are."""
    ask(server, ledger)
    assert server.requests[0] == {
        "model": "model",
        "messages": list(PROMPT.messages),
        "max_tokens": 1000,
    }
    ask(server, ledger, temperature=0.7)
    assert server.requests[1]["temperature"] == 0.7


def test_fields_that_only_the_endpoint_knows_are_sent_and_make_another_question(server: Any, ledger: Ledger) -> None:
    """`extra` goes into the body as it is; an answer that was given without it does not count."""
    ask(server, ledger)
    extra = {"repeat_penalty": 1.1, "reasoning": {"effort": "low"}}
    assert not ask(server, ledger, extra=extra).cached
    assert server.requests[1] == server.requests[0] | extra
    assert ask(server, ledger, extra=extra).cached


@pytest.mark.parametrize("name", ["model", "messages", "max_tokens", "stream"])
def test_what_the_engine_sets_itself_cannot_be_an_extra(name: str) -> None:
    """Two values for one field, of which one wins silently, or an answer that cannot be read."""
    with pytest.raises(ValueError, match=f"{name}: the engine sets this itself"):
        LanguageModelSpec(model="m", extra={name: 1})


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again_and_billed_once(server: Any, ledger: Ledger, status: int) -> None:
    """A rate limit or a server error before the answer costs nothing and leaves nothing at risk."""
    server.script = [server.error(status, "busy"), server.answer()]
    assert server.CODE in ask(server, ledger).text
    assert len(server.requests) == 2
    assert (ledger.totals().requests, ledger.totals().unanswered) == (1, 0)


def test_a_model_that_knows_neither_temperature_nor_max_tokens_is_asked_without(server: Any, ledger: Ledger) -> None:
    """Each refused parameter is dropped or renamed once, and stays so for the next request."""
    server.script = [
        server.error(
            400,
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            param="max_tokens",
        ),
        server.error(400, "'temperature' does not support 0.7 with this model.", param="temperature"),
        server.answer(),
    ]
    with OpenAIModel(server.spec(temperature=0.7), ledger, Budget()) as model:
        assert server.CODE in model.complete(PROMPT, variant=0).text
        model.complete(PROMPT, variant=1)
    asked = [sorted(set(request) - {"model", "messages"}) for request in server.requests]
    assert asked == [
        ["max_tokens", "temperature"],
        ["max_completion_tokens", "temperature"],
        ["max_completion_tokens"],
        ["max_completion_tokens"],
    ]
    assert (ledger.totals().requests, ledger.totals().unanswered) == (2, 0)


def test_a_refusal_that_stays_is_reported_and_not_repeated(server: Any, ledger: Ledger) -> None:
    """A server that refuses whatever is asked is asked three times at most."""
    server.script = [server.error(400, "temperature and max_tokens are wrong")]
    with pytest.raises(LLMError, match="max_tokens are wrong"):
        ask(server, ledger, temperature=0.7)
    assert len(server.requests) == 3
    assert ledger.totals().unanswered == 0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"text": ""}, "empty"),
        ({"text": None, "refusal": "No."}, "refuses"),
        ({"text": "def label_fun", "finish_reason": "length"}, "cut off at 1000 tokens"),
        ({"text": "", "finish_reason": "content_filter"}, "content filter"),
    ],
)
def test_an_unusable_answer_is_an_error_that_was_paid(
    server: Any, ledger: Ledger, changes: dict[str, Any], problem: str
) -> None:
    """Its tokens are in the ledger, and it is not bought a second time."""
    server.script = [server.answer(**changes)]
    for _ in range(2):
        with pytest.raises(UnusableAnswer, match=problem) as caught:
            ask(server, ledger)
    assert caught.value.completion.cost == 0.0005
    assert len(server.requests) == 1
    assert (ledger.totals().requests, ledger.totals().cost) == (1, 0.0005)


def test_missing_usage_is_estimated_and_marked(server: Any, ledger: Ledger) -> None:
    """Without usage the tokens are bytes over three and 8 a message, and everyone is told so."""
    server.script = [server.answer("def label_function(x): return 1", usage={})]
    completion = ask(server, ledger)
    assert completion.tokens_estimated
    assert (completion.tokens_in, completion.tokens_out) == (5 + 8 + 6 + 8, 11 + 8)
    assert ledger.totals().estimated == 1


def test_without_a_price_the_cost_is_unknown(server: Any, ledger: Ledger) -> None:
    """None with the model's name, here and in the sum."""
    assert ask(server, ledger, price=None).cost is None
    assert (ledger.totals().cost, ledger.totals().unknown) == (None, "no price was given for model")


def test_no_request_leaves_that_could_pass_the_budget(server: Any, ledger: Ledger) -> None:
    """27 tokens in and 1000 out cost 0.002027 at most: twice that is room for two answers of 0.0005, then some."""
    budget = Budget(money=0.003)
    for variant in range(2):
        ask(server, ledger, budget=budget, variant=variant)
    with pytest.raises(BudgetReached, match=r"0\.002027 USD; 0\.001000 is spent"):
        ask(server, ledger, budget=budget, variant=2)
    assert len(server.requests) == 2


def test_retries_stop_where_the_budget_does(server: Any, ledger: Ledger) -> None:
    """With room for one attempt a failing server is asked once, whatever `max_retries` says."""
    server.script = [server.error(500, "down")]
    with pytest.raises(LLMError):
        ask(server, ledger, budget=Budget(tokens=1100), max_retries=5)
    assert len(server.requests) == 1


def test_the_key_is_sent_and_kept_nowhere_else(
    server: Any, ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the ledger nor a log at its most talkative holds it."""
    with caplog.at_level(logging.DEBUG):
        ask(server, ledger)
    assert server.keys == [f"Bearer {server.KEY}"]
    assert server.KEY not in caplog.text
    with sqlite3.connect(tmp_path / "completions.sqlite") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "Label a comment." in dump
    assert server.KEY not in dump


def test_the_script_gives_its_answers_and_errors_in_order() -> None:
    """The public fake plays what it was given, remembers what it was asked, and ends with an error."""
    model = ScriptedLLM(["first", LLMError("second")])
    completion = model.complete(PROMPT, variant=0)
    assert (completion.text, completion.cost, completion.tokens_estimated) == ("first", None, True)
    with pytest.raises(LLMError, match="second"):
        model.complete(PROMPT, variant=1)
    with pytest.raises(LLMError, match="2 answers"):
        model.complete(PROMPT, variant=2)
    assert model.prompts == [PROMPT] * 3
