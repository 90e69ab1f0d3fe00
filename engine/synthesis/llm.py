"""Language models as synthesis sees them: a prompt in, a paid or remembered answer out.

A model is a protocol of one method, so that a test or a notebook can put a script in its place. The real one
never sends what the ledger already answers, nor what the budget has no room for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from engine.errors import LLMError
from engine.synthesis.ledger import Ledger
from engine.synthesis.money import cost_of, estimate_tokens, worst_case
from engine.synthesis.prompts import Prompt
from engine.synthesis.records import Entry, request_key
from engine.task_parts import Budget, LanguageModelSpec

if TYPE_CHECKING:
    from engine.synthesis.chat import Endpoint
    from engine.synthesis.reply import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """An answer of a language model.

    Attributes:
        tokens_estimated: the tokens are an estimate, as the endpoint reported none.
        cached: this answer was bought earlier, and nothing was sent now.
        cost: what it cost when it was bought, in `currency`; None where the price is unknown.
    """

    text: str
    tokens_in: int
    tokens_out: int
    tokens_estimated: bool
    model: str
    cached: bool
    cost: float | None
    currency: str | None


class UnusableAnswer(LLMError):
    """The model answered, and was paid, but the answer is empty, refused or cut off.

    Attributes:
        completion: the answer as far as it goes.
        problem: what is wrong with it and what to do.
    """

    def __init__(self, problem: str, completion: Completion) -> None:
        self.problem = problem
        self.completion = completion
        super().__init__(f"{completion.model}: {problem}")


class LanguageModel(Protocol):
    """Whatever answers a prompt."""

    def complete(self, prompt: Prompt, *, variant: int) -> Completion:
        """Answer `prompt`; the same prompt with another `variant` is another question.

        Raises:
            UnusableAnswer: the answer is empty, refused or cut off.
            LLMError: there is no answer.
            BudgetReached: asking could pass the budget.
        """
        ...


class OpenAIModel:
    """A language model behind any OpenAI-compatible endpoint; a context manager that closes its connections.

    The key is read from the environment with the first request that is really sent, so that a run whose
    answers are all in the ledger needs neither a key nor the network.
    """

    def __init__(self, spec: LanguageModelSpec, ledger: Ledger, budget: Budget) -> None:
        self._spec = spec
        self._ledger = ledger
        self._budget = budget
        self._endpoint: Endpoint | None = None

    def __enter__(self) -> OpenAIModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the ledger stays open."""
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None

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
        request = self._request(prompt, variant)
        entry = self._ledger.get(request_key(request))
        cached = entry is not None
        if entry is None:
            entry = self._buy(prompt, request)
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
        if entry.problem is not None:
            raise UnusableAnswer(entry.problem, completion)
        return completion

    def _request(self, prompt: Prompt, variant: int) -> dict[str, object]:
        return {
            "base_url": self._spec.base_url,
            "model": self._spec.model,
            "messages": list(prompt.messages),
            "temperature": self._spec.temperature,
            "max_output_tokens": self._spec.max_output_tokens,
            "variant": variant,
        }

    def _buy(self, prompt: Prompt, request: dict[str, object]) -> Entry:
        endpoint = self._connected()
        spec = self._spec
        reservation = self._ledger.reserve(
            request,
            worst=worst_case(prompt.system, prompt.user, max_output_tokens=spec.max_output_tokens, price=spec.price),
            budget=self._budget,
            attempts=1 + spec.max_retries,
        )
        try:
            reply = endpoint.ask(prompt.messages, attempts=reservation.attempts)
        except BaseException:
            self._ledger.settle(reservation, unanswered=endpoint.charged)
            raise
        entry = _entry(reply, prompt, spec)
        self._ledger.record(reservation, entry, unanswered=max(0, endpoint.charged - 1))
        return entry

    def _connected(self) -> Endpoint:
        if self._endpoint is None:
            # Importing the client takes two seconds, which a run without requests should not wait for.
            from engine.synthesis.chat import Endpoint

            self._endpoint = Endpoint(self._spec)
        return self._endpoint


class ScriptedLLM:
    """A language model that reads from a script, for tests and notebooks.

    Args:
        answers: number `variant` is the answer to that variant, or an error to raise.
        in_order: give the answers one after the other instead, whatever is asked.

    Attributes:
        prompts: what it was asked, in order.

    Example:
        >>> model = ScriptedLLM(["def label_function(x): return 1"])
        >>> model.complete(Prompt(system="s", user="u"), variant=0).text
        'def label_function(x): return 1'
    """

    def __init__(self, answers: Sequence[str | LLMError], *, in_order: bool = False) -> None:
        self._answers = tuple(answers)
        self._in_order = in_order
        self.prompts: list[Prompt] = []

    def complete(self, prompt: Prompt, *, variant: int) -> Completion:
        """Return answer number `variant`, or raise it.

        Raises:
            LLMError: the script holds an error there, or ends before.
        """
        self.prompts.append(prompt)
        if self._in_order:
            variant = len(self.prompts) - 1
        if variant >= len(self._answers):
            raise LLMError(f"the script has {len(self._answers)} answers and was asked for number {variant}")
        answer = self._answers[variant]
        if isinstance(answer, LLMError):
            raise answer
        return Completion(
            text=answer,
            tokens_in=estimate_tokens(prompt.system, prompt.user),
            tokens_out=estimate_tokens(answer),
            tokens_estimated=True,
            model="scripted",
            cached=False,
            cost=None,
            currency=None,
        )


def _entry(reply: Reply, prompt: Prompt, spec: LanguageModelSpec) -> Entry:
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
        cost=cost_of(spec.price, tokens_in=tokens_in, tokens_out=tokens_out),
        currency=None if spec.price is None else spec.price.currency,
    )
