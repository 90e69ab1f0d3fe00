"""Synthesis: ask a language model for programs, one prompt a program, and keep what can be used.

An answer that is no program is kept aside with its reasons rather than dropped: it was paid for, and it
tells what to change. Whatever stops the asking (a budget, a wrong key, an endpoint that is down) is raised;
the answers so far are in the ledger, so that the same call goes on from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.errors import ProgramRejected
from engine.synthesis.llm import Completion, LanguageModel, UnusableAnswer
from engine.synthesis.programs import Program, from_completion
from engine.synthesis.prompts import Prompt
from engine.synthesis.provenance import header
from engine.synthesis.strategies import prompts_for
from engine.task import LabelingTask

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """An answer that gave no program.

    Attributes:
        name: of the program it would have been.
        reasons: why, one sentence each.
        answer: what the model wrote, word for word.
        header: the provenance it would have had; it states the model, the prompt and the price.
    """

    name: str
    reasons: tuple[str, ...]
    answer: str
    header: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """What came of asking: the programs and the rejections, each in the order asked."""

    programs: tuple[Program, ...]
    rejected: tuple[Rejection, ...]


def synthesize(
    task: LabelingTask,
    model: LanguageModel,
    *,
    count: int,
    knowledge: Mapping[str, str] | None = None,
    on_answer: Callable[[int], None] | None = None,
) -> Synthesis:
    """Ask for `count` programs; fewer come back where answers are rejected.

    Args:
        task: what to label; no row of its data is read.
        model: who writes.
        count: at least 1.
        knowledge: {kind: text} for the prompts, as `prompts_for` takes it.
        on_answer: called after each answer with how many there are, for a progress bar.

    Raises:
        LLMError: the model gave no answer.
        BudgetReached: the next request could pass the budget.
        ConfigError: the key or the model is wrong.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    programs: dict[str, Program] = {}
    rejected: list[Rejection] = []
    sent = 0
    for variant, prompt in enumerate(prompts_for(task, count=count, knowledge=knowledge or {})):
        name = f"program_{variant:02d}"
        reasons: tuple[str, ...] = ()
        try:
            completion = model.complete(prompt, variant=variant)
        except UnusableAnswer as error:
            completion, reasons = error.completion, (error.problem,)
        sent += not completion.cached
        written = _header(task, variant, prompt, completion)
        if not reasons:
            try:
                program = from_completion(name, completion.text, header=written)
            except ProgramRejected as error:
                reasons = error.reasons
            else:
                twin = programs.setdefault(program.digest, program)
                if twin is not program:
                    reasons = (f"it is the same program as {twin.name}",)
        if reasons:
            rejected.append(Rejection(name=name, reasons=reasons, answer=completion.text, header=written))
        if on_answer is not None:
            on_answer(variant + 1)
    logger.info(
        "synthesis: %d programs, %d rejected, %d requests sent, %d answers from the ledger",
        len(programs),
        len(rejected),
        sent,
        count - sent,
    )
    return Synthesis(programs=tuple(programs.values()), rejected=tuple(rejected))


def _header(task: LabelingTask, variant: int, prompt: Prompt, completion: Completion) -> str:
    return header(
        task=task.name,
        variant=variant,
        prompt=prompt,
        model=completion.model,
        tokens_in=completion.tokens_in,
        tokens_out=completion.tokens_out,
        tokens_estimated=completion.tokens_estimated,
        cost=completion.cost,
        currency=completion.currency,
    )
