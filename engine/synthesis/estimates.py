"""What synthesis will cost at most, and what labeling every row directly would have cost.

Both are for people who decide before anything is sent (`alchemist plan`) and for the report's comparison. A
price that nobody gave makes a cost None with the reason, never zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.prices import price_of, why_unknown
from engine.synthesis.annotator import question
from engine.synthesis.money import cost_of, estimate_tokens
from engine.synthesis.prompts import general
from engine.task import LabelingTask
from engine.task_parts import LanguageModelSpec

_FRAME_TOKENS = 8
"""Chat roles and separators of the two messages of direct labeling."""

_ANSWER_TOKENS = 3
"""A class number and the tokens that end an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What synthesis may take at most, if nothing is in the ledger yet.

    Attributes:
        requests: 0 where the programs come from a folder.
        tokens_in: of all prompts, estimated from above.
        tokens_out_max: if every answer is as long as allowed.
        cost: at these tokens, in `currency`; None where it is unknown.
        reason: why `cost` is None.
    """

    requests: int
    tokens_in: int
    tokens_out_max: int
    cost: float | None
    currency: str | None
    reason: str | None


def estimate(task: LabelingTask) -> Estimate:
    """Estimate what `synthesize` would take for this task."""
    if task.programs.folder is not None:
        return Estimate(requests=0, tokens_in=0, tokens_out_max=0, cost=0.0, currency=None, reason=None)
    count, spec = task.programs.count, task.language_model
    prompts = [general(task, variant=variant) for variant in range(count)]
    tokens_in = sum(estimate_tokens(prompt.system, prompt.user) for prompt in prompts)
    per_answer = LanguageModelSpec.model_fields["max_output_tokens"].default if spec is None else spec.max_output_tokens
    price, reason = None if spec is None else price_of(spec), why_unknown(spec)
    return Estimate(
        requests=count,
        tokens_in=tokens_in,
        tokens_out_max=count * per_answer,
        cost=cost_of(price, tokens_in=tokens_in, tokens_out=count * per_answer),
        currency=None if price is None else price.currency,
        reason=reason,
    )


def direct_labeling_estimate(*, num_rows: int, text_bytes: int, task: LabelingTask) -> tuple[float | None, str | None]:
    """Estimate what asking the task's language model for the label of each row would cost.

    A row takes the annotator's own question and its text at 4 bytes a token, and an answer of 3 tokens; a model that
    thinks first takes more.

    Args:
        num_rows: n.
        text_bytes: of all rows together, as UTF-8.
        task: gives the instruction, the classes and the price.

    Returns:
        the cost in the price's currency and None, or None and the reason why it is unknown.
    """
    price = None if task.language_model is None else price_of(task.language_model)
    frame = question(task, "")
    instruction_tokens = _FRAME_TOKENS + len((frame.system + frame.user).encode()) // 4
    cost = cost_of(
        price,
        tokens_in=num_rows * instruction_tokens + text_bytes // 4,
        tokens_out=num_rows * _ANSWER_TOKENS,
    )
    return cost, why_unknown(task.language_model)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorEstimate:
    """What the annotator may take at most; `cost` is None where the price is unknown."""

    requests: int
    tokens_in: int
    tokens_out_max: int
    cost: float | None


def annotator_estimate(task: LabelingTask, *, num_rows: int, text_bytes: int) -> AnnotatorEstimate:
    """Bound what the rows that the task has labeled directly may take, at the mean length of a text."""
    spec = task.annotate
    if not spec.wanted or task.language_model is None or not num_rows:
        return AnnotatorEstimate(requests=0, tokens_in=0, tokens_out_max=0, cost=0.0)
    requests = min(num_rows, spec.baseline_rows + (spec.max_rows if spec.label_rest else 0))
    frame = question(task, "")
    tokens_in = requests * estimate_tokens(frame.system, frame.user) + math.ceil(text_bytes / num_rows * requests / 3)
    tokens_out = requests * spec.max_output_tokens
    return AnnotatorEstimate(
        requests=requests,
        tokens_in=tokens_in,
        tokens_out_max=tokens_out,
        cost=cost_of(price_of(task.language_model), tokens_in=tokens_in, tokens_out=tokens_out),
    )
