"""The language model behind an endpoint: answers are remembered, or bought within the budget and recorded at once.

It never sends what the ledger already answers, nor what the budget has no room for. Several questions may be in
flight; each is reserved in the ledger before it is sent, so that together they cannot pass the budget either.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from engine.errors import BudgetReached, LLMRefused
from engine.prices import price_of
from engine.synthesis.attempts import Attempts
from engine.synthesis.background import LoopThread
from engine.synthesis.completion import Completion, LanguageModel, ScriptedLLM, UnusableAnswer
from engine.synthesis.ledger import Ledger
from engine.synthesis.money import cost_of, estimate_tokens, worst_case
from engine.synthesis.prompts import Prompt
from engine.synthesis.records import Entry, Reservation, request_key
from engine.task_parts import Budget, LanguageModelSpec, Price

if TYPE_CHECKING:
    from engine.synthesis.chat import Endpoint
    from engine.synthesis.reply import Reply

__all__ = ["Completion", "LanguageModel", "OpenAIModel", "ScriptedLLM", "UnusableAnswer"]

logger = logging.getLogger(__name__)


class OpenAIModel:
    """A language model behind an OpenAI-compatible endpoint or Anthropic's; a context manager that closes connections.

    The key is read from the environment with the first request that is really sent, so that a run whose
    answers are all in the ledger needs neither a key nor the network.
    """

    def __init__(self, spec: LanguageModelSpec, ledger: Ledger, budget: Budget) -> None:
        self._spec = spec
        self._price = price_of(spec)
        self._ledger = ledger
        self._budget = budget
        self._endpoint: Endpoint | None = None
        self._loop: LoopThread | None = None

    def __enter__(self) -> OpenAIModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the ledger stays open."""
        if self._loop is None:
            return
        if self._endpoint is not None:
            self._loop.run(self._endpoint.close())
            self._endpoint = None
        self._loop.close()
        self._loop = None

    def complete(self, prompt: Prompt, *, variant: int) -> Completion:
        """Return the ledger's answer, or buy one and record it first.

        Raises:
            UnusableAnswer: the answer is empty, refused or cut off; it is recorded like any other and is not
                asked for again until the request changes.
            LLMUnavailable: no answer came; asking again later may help.
            LLMError: the endpoint refuses the request or talks nonsense.
            BudgetReached: the request could pass the budget, and was not sent.
            ConfigError: the key is missing or refused, or the endpoint knows no such model.
        """
        (answer,) = self.complete_many([prompt], variant=variant)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def complete_many(
        self, prompts: Sequence[Prompt], *, variant: int = 0
    ) -> list[Completion | UnusableAnswer | LLMRefused]:
        """Answer independent prompts, `max_concurrency` of them in flight at a time.

        Equal prompts are asked once. When something stops the asking, the answers that are under way are still
        waited for and recorded, since they are paid, and then it is raised.

        Returns:
            for each prompt its answer, or the error that concerns this prompt alone.

        Raises:
            LLMUnavailable, LLMError, BudgetReached, ConfigError: as `complete`; the first of them.
        """
        requests = [self._request(prompt, variant) for prompt in prompts]
        keys = [request_key(request) for request in requests]
        wanted = {key: place for place, key in reversed(list(enumerate(keys)))}
        found: dict[str, Completion | UnusableAnswer | LLMRefused] = {}
        for key in wanted:
            entry = self._ledger.get(key)
            if entry is not None:
                found[key] = _answer(entry, cached=True)
        missing = {key: place for key, place in sorted(wanted.items(), key=lambda item: item[1]) if key not in found}
        if missing:
            if self._loop is None:
                self._loop = LoopThread()
            bought = self._loop.run(self._buy([(prompts[p], requests[p]) for p in missing.values()]))
            found |= dict(zip(missing, bought, strict=True))
        return [found[key] for key in keys]

    def _request(self, prompt: Prompt, variant: int) -> dict[str, object]:
        request: dict[str, object] = {
            "base_url": self._spec.base_url,
            "model": self._spec.model,
            "messages": list(prompt.messages),
            "temperature": self._spec.temperature,
            "max_output_tokens": self._spec.max_output_tokens,
            "variant": variant,
        }
        # Left out where they are as they were before there was a choice, so that earlier answers are still found.
        if self._spec.provider != "openai":
            request["provider"] = self._spec.provider
        if self._spec.extra:
            request["extra"] = self._spec.extra
        return request

    async def _buy(
        self, asked: Sequence[tuple[Prompt, dict[str, object]]]
    ) -> list[Completion | UnusableAnswer | LLMRefused]:
        endpoint = self._connected()
        tasks: list[asyncio.Task[Completion | UnusableAnswer | LLMRefused]] = []
        try:
            for prompt, request in asked:
                reservation = await self._room(prompt, request, tasks)
                if reservation is None:
                    break
                tasks.append(asyncio.create_task(self._send(endpoint, prompt, reservation)))
                # Begin at once, so that no reservation waits for the next one.
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            raise
        except BudgetReached:
            # An error of a request comes first: it explains why nothing became of the rest.
            await asyncio.gather(*tasks)
            raise
        finally:
            # Cancelled ones put down what may have been charged before they end.
            await asyncio.gather(*tasks, return_exceptions=True)
        return [task.result() for task in tasks]

    async def _room(
        self, prompt: Prompt, request: dict[str, object], tasks: Sequence[asyncio.Task[object]]
    ) -> Reservation | None:
        """Wait for a place and for room in the budget; None when an earlier request has failed."""
        worst = worst_case(
            prompt.system, prompt.user, max_output_tokens=self._spec.max_output_tokens, price=self._price
        )
        while True:
            if any(task.done() and not task.cancelled() and task.exception() for task in tasks):
                return None
            flying = [task for task in tasks if not task.done()]
            if len(flying) < self._spec.max_concurrency:
                try:
                    return self._ledger.reserve(
                        request, worst=worst, budget=self._budget, attempts=1 + self._spec.max_retries
                    )
                except BudgetReached:
                    # What is in flight is reserved at its worst; it mostly takes less.
                    if not flying:
                        raise
            await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)

    async def _send(
        self, endpoint: Endpoint, prompt: Prompt, reservation: Reservation
    ) -> Completion | UnusableAnswer | LLMRefused:
        attempts = Attempts(reservation.attempts)
        try:
            reply = await endpoint.ask(prompt.messages, attempts=attempts)
        except LLMRefused as error:
            self._ledger.settle(reservation, unanswered=attempts.charged)
            return error
        except BaseException:
            self._ledger.settle(reservation, unanswered=attempts.charged)
            raise
        entry = _entry(reply, prompt, self._spec, self._price)
        self._ledger.record(reservation, entry, unanswered=max(0, attempts.charged - 1))
        return _answer(entry, cached=False)

    def _connected(self) -> Endpoint:
        if self._endpoint is None:
            # Importing the client takes two seconds, which a run without requests should not wait for.
            from engine.synthesis.chat import Endpoint

            self._endpoint = Endpoint(self._spec)
        return self._endpoint


def _answer(entry: Entry, *, cached: bool) -> Completion | UnusableAnswer:
    completion = Completion(
        text=entry.answer,
        tokens_in=entry.tokens_in,
        tokens_out=entry.tokens_out,
        tokens_estimated=entry.tokens_estimated,
        model=entry.model,
        cached=cached,
        cost=entry.cost,
        currency=entry.currency,
    )
    return completion if entry.problem is None else UnusableAnswer(entry.problem, completion)


def _entry(reply: Reply, prompt: Prompt, spec: LanguageModelSpec, price: Price | None) -> Entry:
    tokens_in, tokens_out = reply.tokens_in, reply.tokens_out
    estimated = tokens_in is None or tokens_out is None
    if tokens_in is None:
        tokens_in = estimate_tokens(prompt.system, prompt.user)
    if tokens_out is None:
        tokens_out = estimate_tokens(reply.text)
    return Entry(
        status="answered" if reply.problem is None else "unusable",
        answer=reply.text,
        problem=reply.problem,
        model=reply.model or spec.model,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_estimated=estimated,
        cost=cost_of(price, tokens_in=tokens_in, tokens_out=tokens_out),
        currency=None if price is None else price.currency,
    )
