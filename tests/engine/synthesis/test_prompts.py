"""What a language model is asked."""

from __future__ import annotations

import pytest

from engine.synthesis.prompts import APPROACHES, general
from engine.task import LabelingTask


def task(**changes: object) -> LabelingTask:
    values = {
        "name": "comments",
        "data": {"source": "comments.csv"},
        "columns": {"gold": "GOLD_COLUMN"},
        "classes": [
            {"name": "ham", "description": "an ordinary\ncomment", "gold_values": ["GOLD_HAM"]},
            {"name": "spam", "gold_values": ["GOLD_SPAM"]},
        ],
        "instruction": "Decide whether a comment is spam.",
    }
    return LabelingTask.model_validate(values | changes)


def test_the_prompt_states_task_classes_contract_and_limits() -> None:
    """A program can be written from the prompt alone."""
    user = general(task(sandbox={"row_timeout_s": 0.25, "memory_bytes": 256 << 20}), variant=0).user
    assert "Decide whether a comment is spam." in user
    assert "  0: ham - an ordinary comment\n  1: spam\n  -1: " in user
    assert "def label_function(text):" in user
    assert "re, math, string" in user
    assert "0.25 s" in user
    assert "256 MiB" in user


def test_knowledge_stands_before_the_task_and_only_when_given() -> None:
    """Supplementary knowledge precedes the instruction; without it there is no empty heading."""
    with_it = general(task(knowledge="Links are common in spam."), variant=0).user
    assert with_it.index("Links are common") < with_it.index("Decide whether")
    assert general(task(), variant=0).user.startswith("The labeling task:")


def test_every_variant_is_another_prompt() -> None:
    """A thousand variants, the most a task may ask for, are a thousand prompts, each with one approach."""
    prompts = [general(task(), variant=variant) for variant in range(1000)]
    assert len({prompt.digest for prompt in prompts}) == 1000
    assert all(sum(approach in prompt.user for approach in APPROACHES) == 1 for prompt in prompts)
    assert len({prompt.user.split("): ")[-1] for prompt in prompts[:50]}) == 50


def test_the_same_variant_is_the_same_prompt() -> None:
    """A prompt depends on nothing but the task and the variant."""
    assert general(task(), variant=3) == general(task(), variant=3)
    assert general(task(), variant=3).digest == general(task(), variant=3).digest


def test_neither_gold_labels_nor_data_are_in_the_prompt() -> None:
    """Names and values of the gold column stay out, and so do the files."""
    prompt = general(task(), variant=0)
    for secret in ("GOLD", "comments.csv"):
        assert secret not in prompt.system + prompt.user


def test_words_of_the_task_are_not_read_as_a_template() -> None:
    """A user's braces reach the model as they were written."""
    user = general(task(instruction="Is {{ 7 * 7 }} in {% raw %} spam?"), variant=0).user
    assert "Is {{ 7 * 7 }} in {% raw %} spam?" in user


def test_a_negative_variant_is_refused() -> None:
    """Variants count from 0."""
    with pytest.raises(ValueError, match="0 or more"):
        general(task(), variant=-1)
