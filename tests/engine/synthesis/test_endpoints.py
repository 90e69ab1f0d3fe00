"""Everything that an endpoint may do to us ends in a result or a clear error, and the money is right."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError, EngineError, LLMError, LLMRefused, LLMUnavailable
from engine.synthesis.answers import candidates
from engine.synthesis.ledger import Ledger
from engine.synthesis.llm import OpenAIModel, UnusableAnswer
from engine.synthesis.prompts import Prompt
from engine.task_parts import Budget

PROMPT = Prompt(system="Write programs.", user="Label a comment.")
NOTHING_LEFT = (0, 0)
"""Answered requests, and attempts at risk."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "completions.sqlite") as opened:
        yield opened


def ask(server: Any, ledger: Ledger, **spec: object) -> Any:
    with OpenAIModel(server.spec(**spec), ledger, Budget()) as model:
        return model.complete(PROMPT, variant=0)


def failure(server: Any, ledger: Ledger, kind: type[EngineError], **spec: object) -> str:
    with pytest.raises(kind) as caught:
        ask(server, ledger, **spec)
    assert type(caught.value) is kind
    assert server.KEY not in str(caught.value)
    return str(caught.value)


def money(ledger: Ledger) -> tuple[int, int]:
    totals = ledger.totals()
    return totals.requests, totals.unanswered


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_server_that_stays_busy_is_given_up(server: Any, ledger: Ledger, status: int) -> None:
    """Three attempts, an error that says to come back, and nothing at risk: each was refused."""
    server.script = [server.error(status, "busy")]
    assert "3 attempts" in failure(server, ledger, LLMUnavailable)
    assert len(server.requests) == 3
    assert money(ledger) == NOTHING_LEFT


@pytest.mark.slow
def test_retry_after_is_waited_for(server: Any, ledger: Ledger) -> None:
    """A server that asks for a second is left alone for a second."""
    busy = server.Response(status=429, body={"error": {"message": "slow down"}}, headers={"Retry-After": "1"})
    server.script = [busy, server.answer()]
    start = time.monotonic()
    ask(server, ledger)
    assert time.monotonic() - start >= 0.9
    assert money(ledger) == (1, 0)


def test_a_wait_that_is_too_long_is_told(server: Any, ledger: Ledger) -> None:
    """An hour is not waited for; the error says what the server asks."""
    server.script = [server.Response(status=429, body={"error": {"message": "x"}}, headers={"Retry-After": "3600"})]
    assert "Retry-After: 3600" in failure(server, ledger, LLMUnavailable)


def test_a_quota_that_is_used_up_is_no_rate_limit(server: Any, ledger: Ledger) -> None:
    """Coming back later would not help."""
    server.script = [server.error(429, "You exceeded your current quota", code="insufficient_quota")]
    assert "Add credit" in failure(server, ledger, LLMError, max_retries=0)


def test_a_server_that_hangs_leaves_money_at_risk(server: Any, ledger: Ledger) -> None:
    """Each attempt may have been answered there, so each stays in the ledger at its worst."""
    server.script = [server.Response(hangs=True)]
    assert "timeout_s" in failure(server, ledger, LLMUnavailable, timeout_s=0.2, max_retries=1)
    assert money(ledger) == (0, 2)


@pytest.mark.parametrize("how", ["cuts", "resets"])
def test_an_answer_that_breaks_off_is_asked_for_again_and_stays_at_risk(server: Any, ledger: Ledger, how: str) -> None:
    """The broken one was perhaps charged; the whole one was; both are in the books, once."""
    broken = server.answer()
    setattr(broken, how, True)
    server.script = [broken, server.answer()]
    assert server.CODE in ask(server, ledger).text
    assert money(ledger) == (1, 1)
    assert ledger.totals().cost == 0.0005


@pytest.mark.parametrize("body", [b"{", b"<html>hello</html>", b"", b'{"choices": []}', b"\xff\xfe", b"null"])
def test_an_answer_that_is_no_answer_is_named_and_at_risk(server: Any, ledger: Ledger, body: bytes) -> None:
    """It came with status 200, so it may have been charged; what it used nobody knows."""
    server.script = [server.Response(body=body)]
    assert "base_url" in failure(server, ledger, LLMError)
    assert money(ledger) == (0, 1)


def test_ten_megabytes_are_paid_and_unusable(server: Any, ledger: Ledger) -> None:
    """The ledger keeps the first million characters."""
    server.script = [server.answer("x" * 10_000_000, usage={"prompt_tokens": 20, "completion_tokens": 2_500_000})]
    with pytest.raises(UnusableAnswer, match="10000000 characters") as caught:
        ask(server, ledger)
    assert len(caught.value.completion.text) == 1_000_000
    assert ledger.totals().tokens_out == 2_500_000


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (404, "The model `model` does not exist", "knows no model 'model'"),
        (401, "Incorrect API key provided: sk-secret-0123456789", "OPENAI_API_KEY"),
        (403, "not for you", "OPENAI_API_KEY"),
    ],
)
def test_a_wrong_model_or_key_is_the_user_s_to_mend(
    server: Any, ledger: Ledger, status: int, message: str, said: str
) -> None:
    """Asked once, nothing at risk, and a server that repeats the key does not get it into our error."""
    server.script = [server.error(status, message)]
    assert said in failure(server, ledger, ConfigError)
    assert len(server.requests) == 1
    assert money(ledger) == NOTHING_LEFT


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"text": None, "reasoning_content": "I wonder"}, "thoughts alone"),
        ({"text": "", "reasoning": "I wonder"}, "thoughts alone"),
        ({"text": None, "tool_calls": [{"function": {"name": "f"}}], "finish_reason": "tool_calls"}, "calls a tool"),
        ({"text": []}, "empty"),
        ({"text": [{"type": "image_url"}]}, "empty"),
    ],
)
def test_an_answer_without_words_says_what_it_holds(
    server: Any, ledger: Ledger, changes: dict[str, Any], problem: str
) -> None:
    """Thoughts and tool calls are paid for and are no answer."""
    server.script = [server.answer(**changes)]
    with pytest.raises(UnusableAnswer, match=problem):
        ask(server, ledger)
    assert money(ledger) == (1, 0)


def test_an_answer_in_parts_is_put_together(server: Any, ledger: Ledger) -> None:
    """Text parts in their order; parts of other kinds are passed over."""
    parts = [{"type": "text", "text": "one "}, {"type": "thinking", "text": "no"}, {"type": "text", "text": "two"}]
    server.script = [server.answer(parts)]
    assert ask(server, ledger).text == "one two"


@pytest.mark.parametrize(
    ("text", "programs"),
    [
        ("I would rather talk about the weather.", 0),
        ("<think>def label_function(text): pass</think>\n```python\ndef label_function(text):\n    return 1\n```", 1),
        ("```python\nx = 1\n```\nand\n```python\ndef label_function(text):\n    return 1\n```", 1),
    ],
)
def test_prose_thoughts_and_several_blocks_are_answers(server: Any, ledger: Ledger, text: str, programs: int) -> None:
    """They are kept word for word; what is a program in them is for the reader of answers to find."""
    server.script = [server.answer(text)]
    assert len(candidates(ask(server, ledger).text)) == programs


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "System role not supported"),
        (400, "Unsupported value: 'messages[0].role' does not support 'system' with this model."),
        (500, "Jinja Exception: System role not supported"),
    ],
)
def test_a_model_without_a_system_role_gets_its_words_before_the_user_s(
    server: Any, ledger: Ledger, status: int, message: str
) -> None:
    """Nothing of the prompt is lost."""
    server.reply = lambda asked: (
        server.error(status, message) if asked["messages"][0]["role"] == "system" else server.answer()
    )
    assert server.CODE in ask(server, ledger, max_retries=0).text
    assert server.requests[-1]["messages"] == [{"role": "user", "content": "Write programs.\n\nLabel a comment."}]
    assert money(ledger) == (1, 0)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -300, "completion_tokens": -1},
        {"prompt_tokens": 10**12, "completion_tokens": 10**12},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": "many", "completion_tokens": None},
        {"prompt_tokens": True},
        {"total_tokens": 400},
    ],
)
def test_a_usage_that_cannot_be_is_estimated_and_marked(server: Any, ledger: Ledger, usage: dict[str, object]) -> None:
    """A byte is a token at most: neither a negative sum nor a thousand dollars enter the books."""
    server.script = [server.answer("def label_function(x): return 1", usage=usage)]
    completion = ask(server, ledger)
    assert completion.tokens_estimated
    assert (completion.tokens_in, completion.tokens_out) == (5 + 8 + 6 + 8, 11 + 8)
    assert ledger.totals().estimated == 1


def test_the_hidden_thoughts_of_a_model_are_billed_as_reported(server: Any, ledger: Ledger) -> None:
    """Tokens beyond the visible answer are plausible: reasoning is charged and not shown."""
    server.script = [server.answer("1", usage={"prompt_tokens": 300, "completion_tokens": 900})]
    assert ask(server, ledger).tokens_out == 900


def test_a_refused_request_is_told_from_a_refused_key(server: Any, ledger: Ledger) -> None:
    """Another request may be accepted, and nothing was charged."""
    server.script = [server.error(400, "content management policy")]
    assert "refuses the request" in failure(server, ledger, LLMRefused)
    assert money(ledger) == NOTHING_LEFT


def test_a_port_where_nobody_listens_costs_nothing(server: Any, ledger: Ledger) -> None:
    """What never left this machine is not at risk."""
    server.close()
    assert "cannot be reached" in failure(server, ledger, LLMUnavailable, max_retries=0)
    assert money(ledger) == NOTHING_LEFT


def test_anthropic_speaks_its_own_protocol(server: Any, ledger: Ledger) -> None:
    """System apart, key in its header, cached tokens counted, the same prices and the same ledger."""
    usage = {"input_tokens": 100, "cache_read_input_tokens": 200, "output_tokens": 100}
    server.script = [server.message(usage=usage)]
    completion = ask(server, ledger, provider="anthropic", temperature=0.5, extra={"top_k": 20})
    assert server.CODE in completion.text
    assert (completion.tokens_in, completion.tokens_out, completion.cost) == (300, 100, 0.0005)
    assert server.paths == ["/v1/messages"]
    assert [key.removeprefix("Bearer ") for key in server.keys] == [server.KEY]
    assert server.requests[0] == {
        "model": "model",
        "max_tokens": 1000,
        "system": "Write programs.",
        "messages": [{"role": "user", "content": "Label a comment."}],
        "temperature": 0.5,
        "top_k": 20,
    }
    assert money(ledger) == (1, 0)
    assert ask(server, ledger, provider="anthropic", temperature=0.5, extra={"top_k": 20}).cached


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"stop_reason": "max_tokens"}, "cut off at 1000"),
        ({"content": [], "stop_reason": "refusal"}, "content filter"),
        ({"content": []}, "empty"),
        ({"content": [{"type": "thinking", "thinking": "hm"}]}, "thoughts alone"),
        ({"content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]}, "calls a tool"),
    ],
)
def test_anthropic_s_unusable_answers_are_paid(
    server: Any, ledger: Ledger, changes: dict[str, Any], problem: str
) -> None:
    """The same problems under other names."""
    server.script = [server.message(**changes)]
    with pytest.raises(UnusableAnswer, match=problem):
        ask(server, ledger, provider="anthropic")
    assert money(ledger) == (1, 0)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (429, LLMUnavailable, "limits the rate"),
        (529, LLMUnavailable, "fails after 1 attempt"),
        (404, ConfigError, "knows no model"),
        (401, ConfigError, "ANTHROPIC_API_KEY"),
        (400, LLMRefused, "refuses the request"),
    ],
)
def test_anthropic_s_errors_are_told_alike(
    server: Any, ledger: Ledger, status: int, kind: type[EngineError], said: str
) -> None:
    """The message says what to do, and nothing is at risk."""
    body = {"type": "error", "error": {"type": "some_error", "message": f"no {server.KEY}"}}
    server.script = [server.Response(status=status, body=body)]
    assert said in failure(server, ledger, kind, provider="anthropic", max_retries=0)
    assert money(ledger) == NOTHING_LEFT


def test_anthropic_that_refuses_a_temperature_is_asked_without(server: Any, ledger: Ledger) -> None:
    """The limit keeps its name there."""
    server.script = [server.error(400, "temperature is deprecated for this model"), server.message()]
    ask(server, ledger, provider="anthropic", temperature=0.5)
    assert "temperature" not in server.requests[1]


def test_without_its_client_anthropic_is_an_error_that_says_what_to_install(
    server: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is reserved."""
    monkeypatch.setitem(sys.modules, "anthropic", None)
    monkeypatch.delitem(sys.modules, "engine.synthesis.anthropic_wire", raising=False)
    assert "alchemist-labeling[anthropic]" in failure(server, ledger, ConfigError, provider="anthropic")
    assert money(ledger) == NOTHING_LEFT


def test_what_anthropic_says_in_no_protocol_is_an_error(server: Any, ledger: Ledger) -> None:
    """A chat completion is no message."""
    server.script = [server.answer()]
    assert "provider `anthropic`" in failure(server, ledger, LLMError, provider="anthropic")
    assert money(ledger) == (0, 1)
    assert json.dumps(server.requests[0])
