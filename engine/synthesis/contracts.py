"""What a program is given: the argument of `label_function` in words, one contract a kind of row.

The words that a model reads about the argument live in templates/contract_<kind>.jinja; what they are filled with
comes from here, so that a prompt, and whoever calls a program, mean the same thing by a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.task import LabelingTask

PLAIN_TYPES = "str, int, float, bool or None"
"""What a value of a record may be; nothing that needs an import to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The argument of `label_function`.

    Attributes:
        kind: which words describe it.
        argument: its name.
        type: its type, as a program annotates it.
        example: a value, as Python writes it.
        parts: {name or position: what it is} of a record's fields or an image's descriptions, in their order.
    """

    kind: Literal["text", "record", "image_scores"]
    argument: str
    type: str
    example: str
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def row(self) -> str:
        """What a row is called in a sentence."""
        return {"text": "text", "record": "table", "image_scores": "image"}[self.kind]

    @property
    def thing(self) -> str:
        """What a vote may depend on."""
        return {"text": "text", "record": "row", "image_scores": "image"}[self.kind]


TEXT = Contract(kind="text", argument="text", type="str", example=repr("the first words of a row ..."))


def record_contract(fields: Mapping[str, str]) -> Contract:
    """Describe a row of a table, given as a dict.

    Args:
        fields: {column: its type or meaning in words}; "" where nothing is known, and any plain value is then to be
            expected.

    Raises:
        ValueError: there is no field.
    """
    if not fields:
        raise ValueError("a record needs at least one field")
    parts = {name: " ".join(words.split()) or PLAIN_TYPES for name, words in fields.items()}
    example = "{" + ", ".join(f"{name!r}: {_example(words)}" for name, words in parts.items()) + "}"
    return Contract(kind="record", argument="row", type="dict", example=example, parts=parts)


def image_contract(descriptions: Sequence[str]) -> Contract:
    """Describe an image, given as how well it fits each of some descriptions.

    Args:
        descriptions: of concepts, in the order of the scores.

    Raises:
        ValueError: there is no description.
    """
    if not descriptions:
        raise ValueError("an image needs at least one description to be scored by")
    scores = [round(0.9 - 0.7 * i / max(1, len(descriptions) - 1), 2) for i in range(len(descriptions))]
    return Contract(
        kind="image_scores",
        argument="scores",
        type="list[float]",
        example=repr(scores),
        parts={str(i): " ".join(text.split()) for i, text in enumerate(descriptions)},
    )


def contract_of(task: LabelingTask) -> Contract:
    """Return the contract of a task's rows."""
    return record_contract(task.columns.fields) if task.modality == "record" else TEXT


def _example(words: str) -> str:
    kind = words.replace(",", " ").split()[0]
    return {"str": "'...'", "int": "3", "float": "0.5", "bool": "True"}.get(kind, "'...'")
