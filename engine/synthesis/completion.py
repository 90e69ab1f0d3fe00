"""What synthesis and the annotator see of a language model: a prompt in, an answer with its price out.

A model is a protocol of one method, so that a test or a notebook can put a script in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.errors import LLMError
from engine.synthesis.money import estimate_tokens
from engine.synthesis.prompts import Prompt


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
