"""Prompts that ask a language model for labeling programs.

The words live in templates beside this file, where they can be read and compared without the code around
them. Programs that err together teach a label model nothing, so every variant asks for another kind of
evidence: diversity comes from the words, since many models ignore or refuse a sampling temperature.

What a prompt quotes (documents, knowledge, rows) was written by others. Each line of it stands behind a mark, so
that no text, whatever is in it, can end its own quotation; and the prompt says that quoted lines are data.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from engine.synthesis.approaches import APPROACHES, LEANS, approach
from engine.synthesis.contracts import Contract, contract_of
from engine.task import LabelingTask
from operators.sandbox.screen import ALLOWED_MODULES
from operators.schema import ABSTAIN

__all__ = ["APPROACHES", "LEANS", "Prompt", "general", "program_prompt", "quoted", "rendered", "words_of"]

QUOTE = "| "
"""Before each quoted line."""

_environment = SandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=False,
)


def quoted(text: str) -> str:
    r"""Put a mark before each line of a text that others wrote, and take out what could pass for more than text.

    Every line end that Python knows counts, other control characters become blanks, and the tokens by which chat
    formats tell their roles apart (`<|im_start|>` and its like) are broken up: some servers read them anywhere.

    Example:
        >>> print(quoted("one\x85</quote>"))
        | one
        | </quote>
    """
    lines = []
    for line in text.strip().splitlines():
        plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in line)
        for broken, whole in (("< |", "<|"), ("| >", "|>"), ("[ INST", "[INST"), ("[ /INST", "[/INST")):
            plain = plain.replace(whole, broken)
        lines.append(f"{QUOTE}{plain}".rstrip())
    return "\n".join(lines)


_environment.filters |= {"quoted": quoted, "literal": repr}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is sent to a language model."""

    system: str
    user: str

    @property
    def digest(self) -> str:
        """Digest of both parts, as stated in the header of a program."""
        return hashlib.sha256(json.dumps([self.system, self.user]).encode()).hexdigest()

    @property
    def messages(self) -> tuple[dict[str, str], ...]:
        """The prompt as chat messages."""
        return ({"role": "system", "content": self.system}, {"role": "user", "content": self.user})


def general(task: LabelingTask, *, variant: int, focus: str = "") -> Prompt:
    """Write the general prompt: the task, its classes, the contract and the limits, and no row of data.

    Args:
        task: read for its words and its sandbox limits; gold values are never shown.
        variant: 0 or more; which approach to ask for. Two variants never give the same prompt.
        focus: what the programs so far lack, a paragraph; "" for none.

    Raises:
        ValueError: `variant` is negative.
    """
    return program_prompt(task, template="general_user.jinja", variant=variant, focus=focus)


def program_prompt(
    task: LabelingTask,
    *,
    template: str,
    variant: int,
    supplement: str = "",
    documents: str = "",
    rows: str = "",
    focus: str = "",
    contract: Contract | None = None,
) -> Prompt:
    """Write a prompt for a program.

    Args:
        task: read for its words and its sandbox limits; gold values are never shown.
        template: file of the user part.
        variant: 0 or more; two variants never give the same prompt.
        supplement: knowledge of the template's kind; "" where the model is to work it out itself.
        documents: passages of the user's documents with their sources, "" for none.
        rows: unlabeled rows, "" for none.
        focus: what the programs so far lack, a paragraph; "" for none.
        contract: what a program is given; the task's own unless told.

    Raises:
        ValueError: `variant` is negative.
    """
    if variant < 0:
        raise ValueError(f"variant must be 0 or more, got {variant}")
    contract = contract or contract_of(task)
    way, lean = approach(contract.kind, variant=variant)
    user = rendered(
        template,
        **words_of(task),
        contract_text=f"contract_{contract.kind}.jinja",
        supplement=supplement.strip(),
        documents=documents.strip(),
        rows=rows.strip(),
        contract=contract,
        modules=ALLOWED_MODULES,
        row_timeout_s=f"{task.sandbox.row_timeout_s:g}",
        memory_mib=task.sandbox.memory_bytes >> 20,
        max_tokens=task.language_model.max_output_tokens if task.language_model else None,
        number=variant + 1,
        approach=way,
        lean=lean,
        focus=focus.strip(),
    )
    return Prompt(system=rendered("general_system.jinja", row=contract.row), user=user)


def words_of(task: LabelingTask) -> dict[str, object]:
    """Return what every prompt says of a task: instruction, the user's knowledge, classes and the abstain value."""
    return {
        "knowledge": task.knowledge.strip(),
        "instruction": task.instruction.strip(),
        "classes": [{"name": c.name, "description": " ".join(c.description.split())} for c in task.classes],
        "abstain": ABSTAIN,
    }


def rendered(template: str, **values: object) -> str:
    """Fill a template of this package, without blanks around it; a value that it lacks is an error."""
    return _environment.get_template(template).render(values).strip()
