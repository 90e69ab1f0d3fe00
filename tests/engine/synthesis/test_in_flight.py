"""Several requests in flight, and a process that dies under them: no answer is lost and none is paid twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BudgetReached, ConfigError, LLMRefused, LLMUnavailable
from engine.synthesis.ledger import Ledger
from engine.synthesis.llm import Completion, OpenAIModel, UnusableAnswer
from engine.synthesis.prompts import Prompt
from engine.task_parts import Budget

PROMPTS = [Prompt(system="Label.", user=f"row {i:02d}") for i in range(12)]
WORST = 10 + 10 + 6 + 1000
"""Tokens of one of these at worst: 6 bytes are 2 and a frame of 8; and so many may come out."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "completions.sqlite") as opened:
        yield opened


def echo(server: Any, **how: Any) -> Any:
    """Answer each request with its own user message."""

    def reply(asked: dict[str, Any]) -> Any:
        response = server.answer(asked["messages"][-1]["content"], usage={"prompt_tokens": 20, "completion_tokens": 5})
        for name, value in how.items():
            setattr(response, name, value)
        return response

    return reply


def ask(server: Any, ledger: Ledger, *, prompts: Any = PROMPTS, budget: Budget | None = None, **spec: Any) -> Any:
    with OpenAIModel(server.spec(**spec), ledger, budget or Budget()) as model:
        return model.complete_many(prompts)


def test_answers_come_in_the_order_of_the_prompts(server: Any, ledger: Ledger) -> None:
    """Four at a time, each to its own prompt, all in the books; a second time nothing is sent."""
    server.reply = echo(server, slow_s=0.05)
    answers = ask(server, ledger, max_concurrency=4)
    assert [answer.text for answer in answers] == [prompt.user for prompt in PROMPTS]
    assert 2 <= server.most_in_flight <= 4
    assert (ledger.totals().requests, ledger.totals().unanswered) == (12, 0)
    assert all(answer.cached for answer in ask(server, ledger))
    assert len(server.requests) == 12


def test_one_at_a_time_is_one_at_a_time(server: Any, ledger: Ledger) -> None:
    """`max_concurrency: 1` keeps to it."""
    server.reply = echo(server, slow_s=0.01)
    ask(server, ledger, max_concurrency=1)
    assert server.most_in_flight == 1


def test_equal_prompts_are_paid_once(server: Any, ledger: Ledger) -> None:
    """Duplicates among the prompts share an answer."""
    server.reply = echo(server, slow_s=0.02)
    answers = ask(server, ledger, prompts=[PROMPTS[0], PROMPTS[1], PROMPTS[0], PROMPTS[0]], max_concurrency=4)
    assert [answer.text for answer in answers] == ["row 00", "row 01", "row 00", "row 00"]
    assert ledger.totals().requests == len(server.requests) == 2


def test_the_budget_holds_with_many_in_flight(server: Any, ledger: Ledger) -> None:
    """At no moment can what is spent and what is reserved pass it, and it is used as far as it goes."""
    limit = 3 * WORST
    seen: list[int] = []

    def reply(asked: dict[str, Any]) -> Any:
        with Ledger.open(ledger.path) as own:
            totals = own.totals()
        seen.append(totals.tokens_in + totals.tokens_out + totals.tokens_at_risk)
        return echo(server, slow_s=0.02)(asked)

    server.reply = reply
    answers = ask(server, ledger, budget=Budget(tokens=limit), max_concurrency=12, max_retries=0)
    assert len(answers) == 12
    assert len(seen) == 12
    assert max(seen) <= limit
    assert 2 <= server.most_in_flight <= 3


def test_a_budget_that_ends_keeps_what_was_bought(server: Any, ledger: Ledger) -> None:
    """Those in flight are waited for and recorded; with more budget the rest alone is asked."""
    server.reply = echo(server, slow_s=0.02)
    with pytest.raises(BudgetReached):
        ask(server, ledger, budget=Budget(tokens=WORST + 4 * 25), max_concurrency=8)
    spent = ledger.totals()
    assert (spent.requests, spent.unanswered) == (5, 0)
    assert len(ask(server, ledger)) == 12
    assert len(server.requests) == 12


def test_two_processes_worth_of_models_share_a_budget(server: Any, ledger: Ledger) -> None:
    """Two models on one file reserve in it, not in their memory."""
    server.reply = echo(server, slow_s=0.02)
    budget = Budget(tokens=4 * WORST)
    failures: list[BaseException] = []

    def half(prompts: list[Prompt]) -> None:
        try:
            with Ledger.open(ledger.path) as own:
                ask(server, own, prompts=prompts, budget=budget, max_concurrency=6, max_retries=0)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=half, args=(part,)) for part in (PROMPTS[:6], PROMPTS[6:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.most_in_flight <= 4
    assert all(isinstance(error, BudgetReached) for error in failures)
    spent = ledger.totals()
    assert spent.requests == len(server.requests)
    assert spent.unanswered == 0


def test_an_unusable_or_refused_answer_concerns_its_prompt_alone(server: Any, ledger: Ledger) -> None:
    """The others are answered; the refused one cost nothing."""
    odd = {"row 03": server.answer(""), "row 05": server.error(400, "content policy")}
    server.reply = lambda asked: odd.get(asked["messages"][-1]["content"]) or echo(server)(asked)
    kinds = [type(answer) for answer in ask(server, ledger)]
    assert (kinds[3], kinds[5], kinds.count(Completion)) == (UnusableAnswer, LLMRefused, 10)
    assert (ledger.totals().requests, ledger.totals().unanswered) == (11, 0)


@pytest.mark.parametrize(("status", "kind"), [(401, ConfigError), (500, LLMUnavailable)])
def test_trouble_with_the_endpoint_stops_the_asking(server: Any, ledger: Ledger, status: int, kind: Any) -> None:
    """What is in flight is kept, and not every prompt is tried against a closed door."""
    server.reply = lambda asked: (
        server.error(status, "no") if asked["messages"][-1]["content"] == "row 02" else echo(server)(asked)
    )
    with pytest.raises(kind):
        ask(server, ledger, max_concurrency=2, max_retries=0)
    assert 2 <= ledger.totals().requests <= 6
    assert ledger.totals().unanswered == 0


CHILD = """
import sys
from engine.synthesis.ledger import Ledger
from engine.synthesis.llm import OpenAIModel
from engine.synthesis.prompts import Prompt
from engine.task_parts import Budget, LanguageModelSpec
spec = LanguageModelSpec.model_validate_json(sys.argv[1])
with Ledger.open(sys.argv[2]) as ledger, OpenAIModel(spec, ledger, Budget()) as model:
    print(model.complete(Prompt(system="Label.", user="row 00"), variant=0).text, flush=True)
    model.complete_many([Prompt(system="Label.", user=f"row {i:02d}") for i in range(1, 12)])
"""


def child(server: Any, ledger: Ledger) -> subprocess.Popen[str]:
    spec = server.spec(max_concurrency=3, max_retries=1).model_dump_json()
    command = [sys.executable, "-c", CHILD, spec, str(ledger.path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def arrived(server: Any, requests: int) -> None:
    deadline = time.monotonic() + 30
    while len(server.requests) < requests:
        assert time.monotonic() < deadline, "the child did not ask"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_process_killed_while_answers_are_out_loses_none_that_was_paid(server: Any, ledger: Ledger) -> None:
    """SIGKILL with one answer recorded and three held by the server: the one is kept, the three stay at risk."""
    server.reply = lambda asked: (
        echo(server)(asked) if asked["messages"][-1]["content"] == "row 00" else server.Response(hangs=True)
    )
    process = child(server, ledger)
    arrived(server, 4)
    process.kill()
    process.communicate()
    spent = ledger.totals()
    # Each was granted two attempts, and nobody is left to say that the second was not made.
    assert (spent.requests, spent.unanswered, spent.tokens_at_risk) == (1, 6, 6 * (WORST - 6))
    server.reply = echo(server)
    answers = ask(server, ledger, prompts=PROMPTS, max_retries=1)
    assert [answer.cached for answer in answers] == [True] + [False] * 11
    assert len(server.requests) == 1 + 3 + 11
    assert ledger.totals().unanswered == 6


@pytest.mark.slow
def test_a_process_killed_just_after_the_answer_was_sent_counts_it(server: Any, ledger: Ledger) -> None:
    """Whenever the kill comes, each request that the server saw is in the books as paid or as at risk."""
    process = None

    def reply(asked: dict[str, Any]) -> Any:
        if asked["messages"][-1]["content"] == "row 03":
            # The answer leaves, and the process is gone before or after it could read it: both are to be right.
            threading.Timer(0.002, os.kill, (process.pid, signal.SIGKILL)).start()
        return echo(server)(asked)

    server.reply = reply
    process = child(server, ledger)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    seen = len(server.requests)
    spent = ledger.totals()
    assert spent.requests <= seen <= spent.requests + spent.unanswered
    before = spent.requests
    server.reply = echo(server)
    answers = ask(server, ledger, max_retries=1)
    assert sum(answer.cached for answer in answers) == before
    assert len(server.requests) == seen + 12 - before


@pytest.mark.slow
def test_ctrl_c_ends_at_once_and_puts_down_what_is_out(server: Any, ledger: Ledger) -> None:
    """The interrupted process settles its three requests at one attempt each before it ends."""
    server.reply = lambda asked: (
        echo(server)(asked) if asked["messages"][-1]["content"] == "row 00" else server.Response(hangs=True)
    )
    process = child(server, ledger)
    arrived(server, 4)
    time.sleep(0.2)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert time.monotonic() - start < 5
    assert (ledger.totals().requests, ledger.totals().unanswered) == (1, 3)
