"""What synthesis will cost at most, and what labeling every row directly would have cost.

Both are for people who decide before anything is sent (`alchemist plan`) and for the report's comparison. A
price that nobody gave makes a cost None with the reason, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.synthesis.money import cost_of, estimate_tokens
from engine.synthesis.prompts import general
from engine.task import LabelingTask
from engine.task_parts import LanguageModelSpec

_FRAME_TOKENS = 40
"""Chat roles, the request for a bare class number, and separators, around each row of direct labeling."""

_FOCUS_TOKENS = 250
"""A paragraph on what the programs so far lack, with words and without rows."""

_ROW_TOKENS = 110
"""A row that is quoted: 300 characters at most."""

_REASON_TOKENS = 250
"""Why an answer was turned away, and the words around it."""

_ANSWER_TOKENS = 3
"""A class number and the tokens that end an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What synthesis may take at most, if nothing is in the ledger yet.

    Attributes:
        requests: one a program; 0 where the programs come from a folder.
        repairs: requests besides, if each program has to be repaired as often as the task allows.
        tokens_in: of all prompts, estimated from above, repairs and what they repeat of an answer included.
        tokens_out_max: if every answer is as long as allowed.
        cost: at these tokens, in `currency`; None where it is unknown.
        reason: why `cost` is None.
    """

    requests: int
    repairs: int
    tokens_in: int
    tokens_out_max: int
    cost: float | None
    currency: str | None
    reason: str | None


def estimate(task: LabelingTask) -> Estimate:
    """Estimate what `synthesize` would take for this task."""
    if task.programs.folder is not None:
        return Estimate(requests=0, repairs=0, tokens_in=0, tokens_out_max=0, cost=0.0, currency=None, reason=None)
    count, spec = task.programs.count, task.language_model
    prompts = [general(task, variant=variant) for variant in range(count)]
    per_answer = LanguageModelSpec.model_fields["max_output_tokens"].default if spec is None else spec.max_output_tokens
    repairs = task.synthesis.repairs
    plain = sum(estimate_tokens(prompt.system, prompt.user) for prompt in prompts)
    # Any question may say what is missing, and quote rows; a repair shows what was answered, and why it was no good.
    focus = _FOCUS_TOKENS + task.synthesis.show_rows * _ROW_TOKENS
    tokens_in = (1 + repairs) * (plain + count * focus) + count * repairs * (per_answer + _REASON_TOKENS)
    tokens_out = count * (1 + repairs) * per_answer
    price, reason = None if spec is None else spec.price, _no_price(spec)
    return Estimate(
        requests=count,
        repairs=count * repairs,
        tokens_in=tokens_in,
        tokens_out_max=tokens_out,
        cost=cost_of(price, tokens_in=tokens_in, tokens_out=tokens_out),
        currency=None if price is None else price.currency,
        reason=reason,
    )


def direct_labeling_estimate(*, num_rows: int, text_bytes: int, task: LabelingTask) -> tuple[float | None, str | None]:
    """Estimate what asking the task's language model for the label of each row would cost.

    A row takes the instruction and the classes, its text at 4 bytes a token, and an answer of 3 tokens.

    Args:
        num_rows: n.
        text_bytes: of all rows together, as UTF-8.
        task: gives the instruction, the classes and the price.

    Returns:
        the cost in the price's currency and None, or None and the reason why it is unknown.
    """
    price = None if task.language_model is None else task.language_model.price
    words = [task.knowledge, task.instruction, *(f"{c.name}: {c.description}" for c in task.classes)]
    instruction_tokens = _FRAME_TOKENS + len("\n".join(words).encode()) // 4
    cost = cost_of(
        price,
        tokens_in=num_rows * instruction_tokens + text_bytes // 4,
        tokens_out=num_rows * _ANSWER_TOKENS,
    )
    return cost, _no_price(task.language_model)


def _no_price(spec: LanguageModelSpec | None) -> str | None:
    if spec is None:
        return "no `language_model` is given"
    if spec.price is None:
        return f"`language_model.price` is not given for {spec.model}"
    return None
