"""Concepts by a language model: the question, and what is done about an answer that is of no use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from engine.errors import LLMError
from engine.synthesis.concepts import Concepts, checked
from engine.synthesis.llm import Completion, LanguageModel, UnusableAnswer
from engine.synthesis.prompts import Prompt, rendered, words_of
from engine.task import LabelingTask
from operators.commit import commit
from operators.featurizer import IMAGE, Traits

_MOST_CHARS = 12_000
"""Of an answer that is sent back."""


def question(task: LabelingTask, *, traits: Traits = IMAGE) -> Prompt:
    """Write the question for as many concepts as the task wants, such as a featurizer of these traits can score."""
    user = rendered(
        "ask_concepts.jinja",
        **words_of(task),
        documents="",
        count=task.scoring.num_concepts,
        row=traits.row,
        texts=traits.texts,
    )
    return Prompt(system=rendered("ask_system.jinja"), user=user)


def ask_concepts(task: LabelingTask, model: LanguageModel, *, path: Path, traits: Traits = IMAGE) -> Concepts:
    """Have a language model name concepts, and write them where people may edit them.

    An answer that is of no use is sent back with the reason, as often as the task has a program repaired.

    Raises:
        LLMError: no answer is of use.
        BudgetReached, ConfigError: as the model.
    """
    asked = prompt = question(task, traits=traits)
    tries = 1 + task.synthesis.repairs
    for variant in range(tries):
        completion, problem = _answer(model, prompt, variant=variant)
        content, found = None, None
        if not problem:
            problem, content = _content(completion.text)
        if not problem:
            problem, found = checked(content, task.class_names, traits)
        if found is not None:
            _write(content, path, model=completion.model)
            return found
        answer = completion.text.strip()[:_MOST_CHARS]
        user = rendered("repair_concepts.jinja", question=asked.user, answer=answer, reason=problem)
        prompt = Prompt(system=asked.system, user=user)
    raise LLMError(
        f"no concepts from {completion.model}, asked {tries} times; the last answer: {problem}; write {path} yourself, "
        "or raise `synthesis.repairs`, and it is asked once more"
    )


def _answer(model: LanguageModel, prompt: Prompt, *, variant: int) -> tuple[Completion, str]:
    try:
        return model.complete(prompt, variant=variant), ""
    except UnusableAnswer as error:
        return error.completion, error.problem


def _content(answer: str) -> tuple[str, Any]:
    """Read the YAML of an answer; or say why it is none."""
    text = answer.rpartition("</think>")[2]
    fenced = re.search(r"```(?:ya?ml)?\n(.*?)```", text, re.DOTALL)
    try:
        return "", yaml.safe_load(fenced[1] if fenced else text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A date that is none is a ValueError, and brackets without an end are too deep.
        return f"it is no YAML: {' '.join(str(error).split())}", None


def _write(content: Any, path: Path, *, model: str) -> None:
    top = f"# Concepts by {' '.join(model.split())}; edit them, or mark one with `spurious: true`.\n"
    text = top + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    commit(path, lambda attempt: attempt.write_text(text, encoding="utf-8"), replace=True)
