"""What of a row each reader gets: programs a text or a record, people and the end model a text."""

from __future__ import annotations

from engine.task import LabelingTask
from operators.corpus.records import Fields, columns_of

SCORES, EMBEDDING, _IMAGE = "scores", "embedding", "image"
"""Columns of images that were scored; `operators.score` writes them."""


def text_of(task: LabelingTask) -> str | Fields:
    """Return where a row's text comes from: its column; for records without one, "column: value" lines."""
    if task.modality == "record" and "text" not in task.columns.model_fields_set:
        return Fields(columns=tuple(task.columns.fields))
    return _IMAGE if task.modality == "image" else task.columns.text


def seen_by_programs(task: LabelingTask) -> str | Fields:
    """Return where what programs get comes from; records travel as JSON."""
    if task.modality == "record":
        return Fields(columns=tuple(task.columns.fields), as_json=True)
    return SCORES if task.modality == "image" else task.columns.text


def distilled_from(task: LabelingTask) -> str | Fields:
    """Return where what the distilled model reads comes from; of an image its embedding, written as text.

    Records are read as lines, unless their columns are the features.
    """
    if task.end_model.features == "columns":
        return seen_by_programs(task)
    return EMBEDDING if task.modality == "image" else text_of(task)


def columns_read(task: LabelingTask) -> tuple[str, ...]:
    """Return the columns that rows are made of, whoever reads them."""
    return tuple(dict.fromkeys([*columns_of(text_of(task)), *columns_of(seen_by_programs(task))]))


def text_key(task: LabelingTask) -> object:
    """What digests say of a row's text, as JSON; for texts the column's name alone, as it always was."""
    return _key(text_of(task))


def seen_key(task: LabelingTask) -> object:
    """What digests say of what programs get."""
    return _key(seen_by_programs(task))


def _key(text: str | Fields) -> object:
    return text if isinstance(text, str) else {"fields": list(text.columns), "as_json": text.as_json}
