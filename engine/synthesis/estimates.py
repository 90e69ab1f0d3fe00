"""What synthesis will cost at most, and what labeling every row directly would have cost.

Both are for people who decide before anything is sent (`alchemist plan`) and for the report's comparison. A
price that nobody gave makes a cost None with the reason, never zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.prices import price_of, why_unknown
from engine.synthesis import annotator, asked_concepts
from engine.synthesis.concepts import concepts_file
from engine.synthesis.contracts import Contract, image_contract
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

_DESCRIPTION_CHARS = 200
"""Of a description of a concept; those of the examples have 60 to 120."""

_UNPRICED_IMAGES = (
    "labeling images directly is not estimated, as each vendor counts the tokens of an image in its own way"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What synthesis may take at most, if nothing is in the ledger yet.

    Attributes:
        requests: one a program, none where the programs come from a folder; one for each kind of knowledge of stage
            one, and one for the concepts of images where there is no file of them.
        repairs: requests besides, if each program, and the concepts, have to be repaired as often as the task allows.
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


def estimate(task: LabelingTask, *, run: Path | None = None) -> Estimate:
    """Estimate what synthesis would take for this task: programs, the concepts of images, knowledge of stage one.

    Documents are not opened, and neither knowledge nor concepts are there yet: they count as long as they may become.

    Args:
        task: what to label.
        run: its directory, where concepts may stand; None for a run to come.
    """
    spec = task.language_model
    parts = [] if task.programs.folder is not None else _programs(task)
    if task.modality == "image" and spec is not None and concepts_file(task, run=run) is None:
        parts.append(_Asked.of([asked_concepts.question(task)], spec, repairs=task.synthesis.repairs))
    parts = [part for part in parts if part.requests]
    if not parts:
        return Estimate(requests=0, repairs=0, tokens_in=0, tokens_out_max=0, cost=0.0, currency=None, reason=None)
    currencies = {part.currency for part in parts}
    reason = next((part.reason for part in parts if part.reason is not None), None)
    if reason is None and len(currencies) > 1:
        reason = f"the models are priced in {' and '.join(sorted(str(c) for c in currencies))}"
    return Estimate(
        requests=sum(part.requests for part in parts),
        repairs=sum(part.repairs for part in parts),
        tokens_in=sum(part.tokens_in for part in parts),
        tokens_out_max=sum(part.tokens_out_max for part in parts),
        cost=None if reason is not None else sum(part.cost or 0.0 for part in parts),
        currency=parts[0].currency,
        reason=reason,
    )


def _programs(task: LabelingTask) -> list[_Asked]:
    """Estimate the programs, and the knowledge where there are two stages."""
    spec, given = task.language_model, _placeholders(task)
    prompts = prompts_for(task, count=task.programs.count, knowledge=given, contract=_contract(task))
    # Any question may say what is missing, and quote rows; a repair shows what was answered, and why it was no good.
    focus = _FOCUS_TOKENS + task.synthesis.show_rows * _ROW_TOKENS
    parts = [_Asked.of(prompts, spec, extra_tokens=focus, repairs=task.synthesis.repairs)]
    if task.synthesis.stages == "two":
        asked = [question(task, kind=kind, documents=given.get(DOCUMENTS, "")) for kind in kinds_of(task, given)]
        parts.append(_Asked.of(asked, task.synthesis.knowledge_model or spec))
    return parts


def _contract(task: LabelingTask) -> Contract | None:
    """Stand in for the descriptions of a concept, as long as they may be."""
    if task.modality != "image":
        return None
    return image_contract(["x" * _DESCRIPTION_CHARS] * task.num_classes, normalisation=task.scoring.normalisation)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Requests to one model, and how often they may be repaired."""

    requests: int
    repairs: int
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
            requests=count,
            repairs=count * repairs,
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
    thinks first takes more. Images are not estimated: their bytes are no measure of their tokens.

    Args:
        num_rows: n.
        text_bytes: of all rows together, as UTF-8.
        task: gives the instruction, the classes and the price.

    Returns:
        the cost in the price's currency and None, or None and the reason why it is unknown.
    """
    if task.modality == "image":
        return None, _UNPRICED_IMAGES
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
