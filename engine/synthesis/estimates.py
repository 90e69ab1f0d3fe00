"""What synthesis will cost at most, and what labeling every row directly would have cost.

Both are for people who decide before anything is sent (`alchemist plan`) and for the report's comparison. A
price that nobody gave makes a cost None with the reason, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.prices import price_of, why_unknown
from engine.synthesis import annotator
from engine.synthesis.knowledge import kinds_of, question
from engine.synthesis.money import cost_of, estimate_tokens
from engine.synthesis.prompts import Prompt
from engine.synthesis.strategies import DOCUMENTS, ROWS, prompts_for
from engine.task import LabelingTask
from engine.task_parts import LanguageModelSpec

_FRAME_TOKENS = 8
"""Chat roles and separators of the two messages of direct labeling."""

_FOCUS_TOKENS = 250
"""A paragraph on what the programs so far lack, with words and without rows."""

_ROW_TOKENS = 110
"""A row that is quoted: 300 characters at most."""

_REASON_TOKENS = 250
"""Why an answer was turned away, and the words around it."""

_ANSWER_TOKENS = 3
"""A class number and the tokens that end an answer."""

_SOURCE_CHARS = 200
"""Of a passage's source and the marks before its lines."""

_ROW_CHARS = 520
"""Of a row that is shown, with its marks; the stage cuts it at 500."""


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
    """Estimate what synthesis would take for this task: the programs, and the knowledge where there are two stages.

    Documents are not opened, and knowledge is not there yet: both count as long as they may become.
    """
    if task.programs.folder is not None:
        return Estimate(requests=0, repairs=0, tokens_in=0, tokens_out_max=0, cost=0.0, currency=None, reason=None)
    spec, repairs = task.language_model, task.synthesis.repairs
    prompts = prompts_for(task, count=task.programs.count, knowledge=_placeholders(task))
    # Any question may say what is missing, and quote rows; a repair shows what was answered, and why it was no good.
    focus = _FOCUS_TOKENS + task.synthesis.show_rows * _ROW_TOKENS
    written = _Asked.of(prompts, spec, extra_tokens=focus, repairs=repairs)
    parts = [written]
    if task.synthesis.stages == "two":
        other = task.synthesis.knowledge_model or spec
        given = _placeholders(task)
        asked = [question(task, kind=kind, documents=given.get(DOCUMENTS, "")) for kind in kinds_of(task, given)]
        parts.append(_Asked.of(asked, other))
    parts = [part for part in parts if part.requests]
    currencies = {part.currency for part in parts}
    reason = next((part.reason for part in parts if part.reason is not None), None)
    if reason is None and len(currencies) > 1:
        reason = f"the models are priced in {' and '.join(sorted(str(c) for c in currencies))}"
    return Estimate(
        requests=sum(part.requests for part in parts),
        repairs=written.requests * repairs,
        tokens_in=sum(part.tokens_in for part in parts),
        tokens_out_max=sum(part.tokens_out_max for part in parts),
        cost=None if reason is not None else sum(part.cost or 0.0 for part in parts),
        currency=written.currency,
        reason=reason,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Requests to one model."""

    requests: int
    tokens_in: int
    tokens_out_max: int
    cost: float | None
    currency: str | None
    reason: str | None

    @classmethod
    def of(
        cls, prompts: Sequence[Prompt], spec: LanguageModelSpec | None, *, extra_tokens: int = 0, repairs: int = 0
    ) -> _Asked:
        """Add up prompts, each `extra_tokens` longer than it is now, and `repairs` more requests for each."""
        count, longest = len(prompts), _longest_answer(spec)
        plain = sum(estimate_tokens(prompt.system, prompt.user) for prompt in prompts) + count * extra_tokens
        tokens_in = (1 + repairs) * plain + count * repairs * (longest + _REASON_TOKENS)
        tokens_out = count * (1 + repairs) * longest
        price = None if spec is None else price_of(spec)
        return cls(
            requests=len(prompts),
            tokens_in=tokens_in,
            tokens_out_max=tokens_out,
            cost=cost_of(price, tokens_in=tokens_in, tokens_out=tokens_out),
            currency=None if price is None else price.currency,
            reason=why_unknown(spec),
        )


def _placeholders(task: LabelingTask) -> dict[str, str]:
    """Stand-ins for what prompts will quote, as long as it can be."""
    spec, given = task.synthesis, dict[str, str]()
    if spec.documents:
        given[DOCUMENTS] = "x" * (spec.max_passages * (spec.chunk_chars + _SOURCE_CHARS))
    if spec.show_rows and "examples" in spec.strategies:
        given[ROWS] = "\n".join(["x" * _ROW_CHARS] * spec.show_rows)
    if spec.stages == "two":
        answer = "x" * (3 * _longest_answer(spec.knowledge_model or task.language_model))
        given |= dict.fromkeys(kinds_of(task, given), answer)
    return given


def _longest_answer(spec: LanguageModelSpec | None) -> int:
    default: int = LanguageModelSpec.model_fields["max_output_tokens"].default
    return default if spec is None else spec.max_output_tokens


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
    frame = annotator.question(task, "")
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
    frame = annotator.question(task, "")
    tokens_in = requests * estimate_tokens(frame.system, frame.user) + math.ceil(text_bytes / num_rows * requests / 3)
    tokens_out = requests * spec.max_output_tokens
    return AnnotatorEstimate(
        requests=requests,
        tokens_in=tokens_in,
        tokens_out_max=tokens_out,
        cost=cost_of(price_of(task.language_model), tokens_in=tokens_in, tokens_out=tokens_out),
    )
