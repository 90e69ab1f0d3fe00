"""Synthesis: ask a language model for programs, have it repair what is broken, and ask on for what is missing.

One program after the other: what the programs so far lack decides what the next one is asked for, and a copy of one
of them is refused. What comes out depends on the answers and the sample alone, so that a second call with the same
ledger sends nothing and gives the same programs. An answer that is no program is kept aside with its reasons rather
than dropped: it was paid for, and it tells what to change. Whatever stops the asking (a budget, a wrong key, an
endpoint that is down) is raised; the answers so far are in the ledger, so that the same call goes on from there.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from engine.errors import LLMRefused
from engine.synthesis.concepts import Concepts, header_line
from engine.synthesis.contracts import Contract, image_contract
from engine.synthesis.feedback import View, choose, look, needs, paragraph
from engine.synthesis.llm import Completion, LanguageModel, UnusableAnswer
from engine.synthesis.outcome import Failure, Slot, Synthesis
from engine.synthesis.prompts import Prompt, rendered
from engine.synthesis.provenance import header
from engine.synthesis.repair import repair
from engine.synthesis.reply import CUT_OFF
from engine.synthesis.strategies import strategy_of, write
from engine.synthesis.trial import Trial
from engine.synthesis.verdict import Judge, Verdict
from engine.task import LabelingTask

__all__ = ["Failure", "Slot", "Synthesis", "synthesize"]

logger = logging.getLogger(__name__)

FIRST = 3
"""Programs before anyone looks at what they lack: one or two tell more of themselves than of the task."""

_GROWTH = 0.005
"""Of the rows; a smaller rise of coverage or of settled rows counts as none."""

_ANOTHER = 1003
"""From a variant to the one that replaces it: no program is asked for by it, and its approach is another one."""


def synthesize(
    task: LabelingTask,
    model: LanguageModel,
    *,
    count: int,
    knowledge: Mapping[str, str] | None = None,
    trial: Trial | None = None,
    concepts: Concepts | None = None,
    on_answer: Callable[[int], None] | None = None,
) -> Synthesis:
    """Ask for `count` programs; fewer come back where answers stay unusable, or more would bring nothing.

    Args:
        task: what to label, and how to go about it (`synthesis`).
        model: who writes.
        count: at least 1.
        knowledge: {kind: text} for the prompts, as `write` takes it.
        trial: runs a program on a sample of training rows; without one nothing is known of votes, and programs are
            screened and compared as code alone.
        concepts: of images, one a program, in turn; None for texts and records.
        on_answer: called after each program with how many were asked for, for a progress bar.

    Raises:
        LLMError: the model gave no answer.
        BudgetReached: the next request could pass the budget.
        ConfigError: the key or the model is wrong.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    asking = _Asking(
        task=task, model=model, knowledge=knowledge or {}, judge=Judge(task=task, trial=trial, concepts=concepts)
    )
    growth = _Growth(patience=task.synthesis.patience if trial is not None else 0)
    slots: list[Slot] = []
    view = None
    stop: Literal["count", "no_growth"] = "count"
    for place in range(count):
        slots.append(asking.fill(place, focus=_focus(asking, view)))
        if on_answer is not None:
            on_answer(place + 1)
        if trial is not None:
            view = look(asking.judge.votes, num_classes=task.num_classes)
            if growth.ended(view) and place + 1 < count:
                stop = "no_growth"
                break
    done = Synthesis(slots=tuple(slots), stop=stop, view=view)
    counts = done.counts()
    logger.info(
        "synthesis: %d programs of %d wanted; %d answers, %d usable at first, %d repaired, %d near-duplicates refused, "
        "%d places left empty; stopped by %s; %d requests sent, %d answers from the ledger",
        len(done.programs),
        count,
        counts["asked"],
        counts["usable_at_first"],
        counts["repaired"],
        counts["near_duplicates"],
        len(done.rejected),
        stop,
        asking.sent,
        counts["asked"] - asking.sent,
    )
    return done


@dataclass(slots=True, kw_only=True)
class _Asking:
    """Questions to the model, and how often what was asked for."""

    task: LabelingTask
    model: LanguageModel
    knowledge: Mapping[str, str]
    judge: Judge
    sent: int = 0
    focused: Counter[tuple[str, tuple[int, ...]]] = field(default_factory=Counter)

    def fill(self, place: int, *, focus: str) -> Slot:
        """Ask for one program, and again while the answer is of no use and the task allows."""
        name = f"program_{place:02d}"
        variant = place
        question = prompt = self._question(variant, focus=focus)
        asked: set[Prompt] = set()
        failures: list[Failure] = []
        while len(failures) <= self.task.synthesis.repairs:
            asked.add(prompt)
            try:
                completion, problem = self._answer(prompt, variant)
            except LLMRefused as error:
                if not failures:
                    raise
                # A repair holds the question and a program: it may be too long where the question alone was not.
                logger.warning("%s: nothing more is asked for it: %s", name, error)
                reasons = (*failures[-1].reasons, f"and the request to put it right was refused: {error}")
                failures[-1] = replace(failures[-1], reasons=reasons)
                break
            written = _header(self.task, variant, prompt, completion)
            if (concepts := self.judge.concepts) is not None:
                written = header_line([concepts.used[variant % len(concepts.used)].name]) + written
            if problem is None:
                verdict = self.judge(name, completion.text, header=written)
            else:
                verdict = Verdict(reasons=(problem,), told=(problem,))
            if verdict.member is not None:
                return Slot(name=name, program=verdict.member.program, failures=tuple(failures))
            copy = verdict.twin is not None
            failures.append(Failure(reasons=verdict.reasons, answer=completion.text, header=written, copy=copy))
            if (instead := _instead(verdict, problem)) is None:
                prompt = repair(question, answer=completion.text, reasons=verdict.told)
                if prompt not in asked:
                    continue
                instead = ""
            variant += _ANOTHER
            question = prompt = self._question(variant, focus=f"{focus}\n{instead}")
        return Slot(name=name, program=None, failures=tuple(failures))

    def _question(self, variant: int, *, focus: str) -> Prompt:
        strategy = strategy_of(self.task, variant=variant)
        return write(
            self.task,
            strategy=strategy,
            variant=variant,
            knowledge=self.knowledge,
            focus=focus,
            contract=self._contract(variant),
        )

    def _contract(self, variant: int) -> Contract | None:
        concepts = self.judge.concepts
        if concepts is None:
            return None
        texts = concepts.texts()[variant % len(concepts.used)]
        return image_contract(texts, normalisation=self.task.scoring.normalisation, traits=concepts.traits)

    def _answer(self, prompt: Prompt, variant: int) -> tuple[Completion, str | None]:
        try:
            completion, problem = self.model.complete(prompt, variant=variant), None
        except UnusableAnswer as error:
            completion, problem = error.completion, error.problem
        self.sent += not completion.cached
        return completion, problem


def _instead(verdict: Verdict, problem: str | None) -> str | None:
    """Say what a fresh question adds, where that is worth more than a repair; None where a repair is worth trying.

    A model that is told to change a copy changes little. One that ran on until it was broken off does so again at the
    sight of its own words, and hardly ever by its approach alone. The third case is the caller's: the same broken
    program came twice.
    """
    if verdict.twin is not None:
        return rendered("focus_different.jinja", cues=verdict.twin.cues)
    if problem is not None and problem.startswith(CUT_OFF):
        return rendered("focus_brief.jinja")
    return None


def _focus(asking: _Asking, view: View | None) -> str:
    """Say what the programs so far lack; "" while there are few, and where nothing is missing."""
    judge = asking.judge
    if view is None or judge.trial is None or len(judge.members) < FIRST or not asking.task.synthesis.diversity:
        return ""
    need = choose(needs(view), asking.focused)
    if need is None:
        return ""
    asking.focused[need.kind, need.classes] += 1
    return paragraph(need, task=asking.task, view=view, votes=judge.votes, texts=judge.trial.texts)


@dataclass(slots=True, kw_only=True)
class _Growth:
    """Whether programs still bring anything: coverage, or rows on which several agree."""

    patience: int
    idle: int = 0
    coverage: float = 0.0
    settled: float = 0.0

    def ended(self, view: View) -> bool:
        """Take the next view; True once `patience` of them in a row brought no growth."""
        if view.coverage > self.coverage + _GROWTH or view.settled > self.settled + _GROWTH:
            self.idle = 0
            self.coverage = max(self.coverage, view.coverage)
            self.settled = max(self.settled, view.settled)
        else:
            self.idle += 1
        return 0 < self.patience <= self.idle


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
