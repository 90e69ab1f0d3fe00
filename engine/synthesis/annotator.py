"""The question that asks a language model for the label of one row, and the strict reading of its answer.

A label is taken only from an answer that is one and nothing else: a class picked out of a sentence would be a guess
of ours. Where a class is named by a number, numbers would be ambiguous, and the names are asked for.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from engine.synthesis.prompts import Prompt
from engine.task import LabelingTask

_environment = SandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

_AROUND = " \t\r\n.`'\"*"
"""What models put around a word that they were asked to leave bare."""


def question(task: LabelingTask, text: str) -> Prompt:
    """Ask for the class of a row; gold values are never shown."""
    by_number = _by_number(task)
    values = {
        "wanted": f"one number from 0 to {task.num_classes - 1}" if by_number else "the name of one class",
        "by_number": by_number,
        "knowledge": task.knowledge.strip(),
        "instruction": task.instruction.strip(),
        "classes": [{"name": c.name, "description": " ".join(c.description.split())} for c in task.classes],
        "text": text,
    }
    system = _environment.get_template("annotate_system.jinja").render(values)
    return Prompt(system=system.strip(), user=_environment.get_template("annotate_user.jinja").render(values).strip())


def label_in(task: LabelingTask, answer: str) -> int | None:
    """Return the class that an answer names, None unless it names one and says nothing else.

    Example:
        >>> task = LabelingTask(name="t", data={"source": "x.csv"}, instruction="Label it.",
        ...     classes=[{"name": "ham"}, {"name": "spam"}])
        >>> [label_in(task, answer) for answer in ("1", "**Spam**.", "It is spam", "2")]
        [1, 1, None, None]
    """
    said = answer.rpartition("</think>")[2].strip(_AROUND)
    if _by_number(task) and said.isascii() and said.isdecimal():
        return int(said) if len(said) < 6 and int(said) < task.num_classes else None
    meant = [i for i, name in enumerate(task.class_names) if name.strip(_AROUND).casefold() == said.casefold()]
    return meant[0] if len(meant) == 1 else None


def _by_number(task: LabelingTask) -> bool:
    return not any(name.strip(_AROUND).isdecimal() for name in task.class_names)
