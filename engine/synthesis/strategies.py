"""Which prompt each program gets: strategies and approaches in turn, with the knowledge that belongs to a strategy.

A strategy decides what a prompt offers, an approach what kind of evidence it asks for. Both go round, one shifted
against the other, so that ten programs of five strategies are ten approaches, and a thousand are a thousand prompts.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.synthesis.approaches import APPROACHES
from engine.synthesis.contracts import Contract
from engine.synthesis.prompts import Prompt, program_prompt
from engine.task import LabelingTask

DOCUMENTS = "documents"
"""Key of the passages among the knowledge; they stand with their sources, as `retrieval.quote` writes them."""

ROWS = "rows"
"""Key of unlabeled rows among the knowledge; there are some only where the task says `synthesis.show_rows`."""


def prompts_for(
    task: LabelingTask, *, count: int, knowledge: Mapping[str, str], contract: Contract | None = None
) -> tuple[Prompt, ...]:
    """Write the prompts of the first `count` programs; no two are equal.

    Args:
        task: which strategies there are, and all that a prompt says.
        count: how many.
        knowledge: {kind: text}; passages under "documents", unlabeled rows under "rows".
        contract: what programs are given; the task's own unless told.
    """
    return tuple(
        write(
            task, strategy=strategy_of(task, variant=variant), variant=variant, knowledge=knowledge, contract=contract
        )
        for variant in range(count)
    )


def strategy_of(task: LabelingTask, *, variant: int) -> str:
    """Return the strategy of a program by its variant, 0 or more."""
    strategies = task.synthesis.strategies
    # Shifted with each lap of the approaches: otherwise five strategies would meet the same two approaches for ever.
    return strategies[(variant + variant // len(APPROACHES)) % len(strategies)]


def write(
    task: LabelingTask,
    *,
    strategy: str,
    variant: int,
    knowledge: Mapping[str, str],
    focus: str = "",
    contract: Contract | None = None,
) -> Prompt:
    """Write the prompt of one program.

    Args:
        task: read for its words and its sandbox limits; gold values are never shown.
        strategy: `general`, or a kind of knowledge. Where `knowledge` has that kind, it is quoted; else the model is
            asked to work it out first.
        variant: 0 or more; two variants never give the same prompt.
        knowledge: as in `prompts_for`.
        focus: a paragraph on what the programs so far lack; "" for none.
        contract: what a program is given; the task's own unless told.

    Raises:
        ValueError: `variant` is negative.
    """
    rows = knowledge.get(ROWS, "") if strategy == "examples" else ""
    supplement = "" if rows or strategy == "general" else knowledge.get(strategy, "")
    # With two stages the model that wrote the knowledge has read the passages; to quote them again would pay twice.
    distilled = bool(supplement) and task.synthesis.stages == "two"
    return program_prompt(
        task,
        template=f"{strategy}_user.jinja",
        variant=variant,
        supplement=supplement,
        documents="" if distilled else knowledge.get(DOCUMENTS, ""),
        rows=rows,
        focus=focus,
        contract=contract,
    )
