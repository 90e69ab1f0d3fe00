"""What the columns of a data file seem to be, by their names and the values of the first rows.

Of a gold column the set of values alone is taken, as names of the classes; which row has which is not used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine.errors import ConfigError
from engine.image_folder import ImageFolder, image_folder
from engine.sample_rows import first_rows
from operators.schema import MAX_CLASSES

_GOLD = re.compile(r"(.*[_\W])?(label|labels|class|target|gold|category|sentiment|y|stars|rating)(_id)?", re.IGNORECASE)
_ID = re.compile(r"(?i:(.*[_\W])?(id|uid|uuid|guid|key|index))|.*[a-z]I[dD]")
_SPLIT = re.compile(r"(.*[_\W])?(split|fold|subset|partition|set)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What the columns of a data file seem to be.

    Attributes:
        text: the column of the longest strings.
        gold: of few values and a telling name.
        id: of values that differ, and a telling name.
        split: of few values and a telling name.
        classes: values of the gold column, numbers by size; None without one.
        columns: all that are there.
        num_rows_seen: rows that were looked at.
        reasons: why, by field, one phrase each.
        modality: "text", or "image" for a folder of images, whose text is the name of an image.
    """

    text: str
    gold: str | None
    id: str | None
    split: str | None
    classes: tuple[str, ...] | None
    columns: tuple[str, ...]
    num_rows_seen: int
    reasons: dict[str, str]
    modality: Literal["text", "image"] = "text"


def suggest(data: Path) -> Suggestion:
    """Guess what the columns of a data file are, from its first rows; of a folder of images, from their names.

    Raises:
        ConfigError: the file cannot be read, has no row, or no column of strings.
    """
    folder = image_folder(data)
    return suggest_from(first_rows(data), data) if folder is None else suggest_of_images(folder, data)


def suggest_of_images(folder: ImageFolder, data: Path) -> Suggestion:
    """Guess as `suggest` does, from a folder of images that was looked at."""
    guess = suggest_from(folder.rows, data, text="image")
    reasons = {} if guess.gold is None else {"gold": "the folder that an image stands in"}
    return replace(guess, modality="image", id=None, split=None, reasons=reasons)


def suggest_from(rows: Mapping[str, list[Any]], data: Path, *, text: str | None = None) -> Suggestion:
    """Guess as `suggest` does, from rows already read; `text` is the text column where it is known."""
    num_rows = len(next(iter(rows.values())))
    reasons: dict[str, str] = {}
    lengths = {name: _mean_length(values) for name, values in rows.items()}
    if text is None:
        text = max(lengths, key=lambda name: lengths[name])
        if lengths[text] == 0:
            raise ConfigError(f"{data}: no column holds strings; its columns are {list(rows)}")
        reasons["text"] = f"the longest strings, {lengths[text]:.0f} characters on average"
    others = {name: values for name, values in rows.items() if name != text}
    few = {name: values for name, column in others.items() if 2 <= len(values := distinct(column)) <= MAX_CLASSES}
    gold = next((n for n, v in few.items() if _GOLD.fullmatch(n) and (len(v) <= num_rows / 2 or len(v) == 2)), None)
    if gold is not None:
        reasons["gold"] = f"{len(few[gold])} values, and its name"
    split = next(
        (n for n, column in others.items() if _SPLIT.fullmatch(n) and n != gold and 1 <= len(distinct(column)) <= 5),
        None,
    )
    if split is not None:
        reasons["split"] = "few values, and its name"
    row_id = next(
        (n for n, column in others.items() if _ID.fullmatch(n) and n not in (gold, split) and _identifies(column)), None
    )
    if row_id is not None:
        reasons["id"] = f"no value stands twice in {num_rows} rows, and its name"
    return Suggestion(
        text=text,
        gold=gold,
        id=row_id,
        split=split,
        classes=None if gold is None else tuple(few[gold]),
        columns=tuple(rows),
        num_rows_seen=num_rows,
        reasons=reasons,
    )


def _mean_length(column: list[Any]) -> float:
    if not all(value is None or isinstance(value, str) for value in column):
        return 0.0
    return sum(len(value or "") for value in column) / len(column)


def distinct(column: list[Any]) -> list[str]:
    """Distinct values as the evaluation reads gold labels; numbers by size, then words by letter."""
    found = set()
    for value in column:
        if value is None or value == "" or value != value or isinstance(value, (list, dict)):
            continue
        found.add(str(int(value) if isinstance(value, float) and value.is_integer() else value))
    return sorted(found, key=lambda v: (0, float(v), v) if re.fullmatch(r"-?\d+(\.\d+)?", v) else (1, 0.0, v))


def _identifies(column: list[Any]) -> bool:
    kinds = {type(value) for value in column}
    return kinds in ({int}, {str}) and len(set(column)) == len(column) and "" not in column
