"""What a program is given: the argument of `label_function` in words, one contract a kind of row.

The words that a model reads about the argument live in templates/contract_<kind>.jinja; what they are filled with
comes from here, so that a prompt, and whoever calls a program, mean the same thing by a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.task import LabelingTask
from engine.task_scoring import Normalisation
from operators.featurizer import IMAGE, Traits

PLAIN_TYPES = "str, int, float, bool or None"
"""What a value of a record may be; nothing that needs an import to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The argument of `label_function`.

    Attributes:
        kind: which words describe it.
        argument: its name.
        type: its type, as a program annotates it.
        row: what a row is called before that word.
        thing: what a vote may depend on.
        example: a value, as Python writes it; "" where there is none to give.
        parts: {name or position: what it is} of a record's fields or an image's descriptions, in their order.
        normalisation: of scores.
        scale: of scores that are not normalised, in words; "" where nothing is known of it.
    """

    kind: Literal["text", "record", "image_scores"]
    argument: str
    type: str
    row: str
    thing: str
    example: str
    parts: Mapping[str, str] = field(default_factory=dict)
    normalisation: Normalisation = "none"
    scale: str = ""


TEXT = Contract(
    kind="text", argument="text", type="str", row="text", thing="text", example=repr("the first words of a row ...")
)


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
    return Contract(kind="record", argument="row", type="dict", row="table", thing="row", example=example, parts=parts)


def image_contract(
    descriptions: Sequence[str], *, normalisation: Normalisation = "softmax", traits: Traits = IMAGE
) -> Contract:
    """Describe an image, or a row of another modality, given as how well it fits each of some descriptions.

    Args:
        descriptions: of one concept, in the order of the scores.
        normalisation: of the scores.
        traits: of the featurizer that gives them.

    Raises:
        ValueError: there is no description.
    """
    if not descriptions:
        raise ValueError("an image needs at least one description to be scored by")
    return Contract(
        kind="image_scores",
        argument="scores",
        type="list[float]",
        row=traits.row,
        thing=traits.row,
        example=_example_scores(len(descriptions), normalisation),
        parts={str(i): " ".join(text.split()) for i, text in enumerate(descriptions)},
        normalisation=normalisation,
        scale=traits.scale,
    )


def contract_of(task: LabelingTask) -> Contract:
    """Return the contract of a task's rows."""
    return record_contract(task.columns.fields) if task.modality == "record" else TEXT


def _example_scores(count: int, normalisation: Normalisation) -> str:
    if normalisation == "none":
        return ""
    falling = [0.9 - 0.7 * i / max(1, count - 1) for i in range(count)]
    if normalisation == "softmax":
        *others, _ = (round(score / sum(falling), 2) for score in falling)
        return repr([*others, round(1 - sum(others), 2)])
    return repr([round(score, 2) for score in falling])


def _example(words: str) -> str:
    kind = words.replace(",", " ").split()[0]
    return {"str": "'...'", "int": "3", "float": "0.5", "bool": "True"}.get(kind, "'...'")
