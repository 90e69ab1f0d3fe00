"""`alchemist init`: write a commented task file for a data file; what is not given is guessed from the first rows."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel

from engine.errors import ConfigError
from engine.sample_rows import first_rows
from engine.suggestion import Suggestion, distinct, suggest, suggest_from
from engine.task import LabelingTask
from engine.task_file import task_from
from engine.task_parts import DataSpec, LanguageModelSpec
from operators.commit import commit
from operators.errors import InputError
from operators.schema import MAX_CLASSES

__all__ = ["Suggestion", "suggest", "write_task"]

_TEST = re.compile(r"test|eval", re.IGNORECASE)
_PLACEHOLDERS = ("first_class", "second_class")


def write_task(
    data: Path,
    *,
    out: Path,
    name: str | None = None,
    text: str | None = None,
    gold: str | None = None,
    id: str | None = None,
    group: str | None = None,
    split: str | None = None,
    classes: Sequence[str] | None = None,
    instruction: str | None = None,
    force: bool = False,
) -> Path:
    """Write a commented task file that `read_task` accepts; what is not given is guessed.

    Args:
        data: a Parquet, CSV, TSV or JSON lines file, or a folder of them.
        out: where the task file goes.
        name: of the task; made from the name of `data` unless given.
        text: column of the texts.
        gold: column of gold labels.
        id: column of ids.
        group: column of groups; never guessed.
        split: column that tells train from test.
        classes: names in the order of the indices; the values of the gold column unless given, else two
            placeholders to edit.
        instruction: what to label, in a sentence; a placeholder to edit unless given.
        force: overwrite a file that is there.

    Returns:
        `out`.

    Raises:
        ConfigError: `out` is there or cannot be written, a column is not in the data, or the task would not be
            accepted.
    """
    if out.exists() and not force:
        raise ConfigError(f"{out}: is there already; use --force to overwrite it, or --out to write elsewhere")
    rows = first_rows(data)
    for option, column in (("text", text), ("gold", gold), ("id", id), ("group", group), ("split", split)):
        _check_column(column, rows, data, option)
    guess = suggest_from(rows, data, text=text)
    taken = {text or guess.text, group}
    columns = {
        "id": id or _free(guess.id, taken | {gold, split}),
        "gold": gold or _free(guess.gold, taken | {id, split}),
        "group": group,
    }
    values = distinct(rows[columns["gold"]]) if columns["gold"] else []
    names = tuple(classes or ()) or (tuple(values) if 2 <= len(values) <= MAX_CLASSES else _PLACEHOLDERS)
    split = split or _free(guess.split, taken | {gold, id})
    train_values, test_values = _split_values(rows[split] if split else [])
    content = _render(
        name=name or _name(data),
        source=_relative(data, out),
        text=text or guess.text,
        columns=columns,
        split=split,
        train_values=train_values,
        test_values=test_values,
        because={
            field: f" (a guess: {guess.reasons[field]})" if given is None and field in guess.reasons else ""
            for field, given in (("text", text), ("id", id), ("gold", gold), ("group", group))
        },
        classes=names,
        classes_are_placeholders=names == _PLACEHOLDERS,
        unknown_gold=[_quoted(v) for v in values if v not in {*names, *map(str, range(len(names)))}],
        balance=_quoted({n: round(1 / len(names), 3) for n in names}),
        instruction=instruction or f"Label a text as {', '.join(names[:-1])} or {names[-1]}.",
        instruction_is_yours=bool(instruction),
    )
    task_from(yaml.safe_load(content), where=str(out), folder=out.parent)
    try:
        commit(out, lambda path: path.write_text(content, encoding="utf-8"), replace=True)
    except (InputError, OSError) as error:
        raise ConfigError(f"{out}: cannot be written: {error}") from error
    return out


def _split_values(column: list[Any]) -> tuple[list[str], list[str]]:
    """Values for train and test rows; those that the first rows do not show are the usual ones."""
    values = distinct(column)
    test = [value for value in values if _TEST.search(value)]
    train = [value for value in values if value not in test]
    usual = DataSpec.model_fields
    return train or list(usual["train_values"].default), test or list(usual["test_values"].default)


def _check_column(column: str | None, rows: dict[str, list[Any]], data: Path, option: str) -> None:
    if column is not None and column not in rows:
        near = difflib.get_close_matches(column, list(rows), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{data}: no column {column!r} for --{option}; its columns are {list(rows)}{hint}")


def _free(guess: str | None, taken: set[str | None]) -> str | None:
    return None if guess in taken else guess


def _name(data: Path) -> str:
    stem = data.name.removesuffix(".gz")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(stem).stem).strip("._-") or "task"


def _relative(data: Path, out: Path) -> str:
    """Path from the task file's folder; absolute where they share nothing but the root."""
    target, folder = data.resolve(), out.parent.resolve()
    shared = Path(os.path.commonpath([target, folder]))
    return str(target) if shared == Path(shared.anchor) else os.path.relpath(target, folder)


def _render(**values: Any) -> str:
    environment = Environment(
        loader=PackageLoader("engine"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("task.yaml.jinja").render(values, quoted=_quoted, default=_default, fields=_fields)


def _quoted(value: Any) -> str:
    """Write a value as YAML on one line, in quotes where it needs them."""
    plain = list(value) if isinstance(value, tuple) else value
    written: str = yaml.dump(
        [plain], Dumper=_OneLine, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1 << 30
    )
    return written[1:-2]


class _OneLine(yaml.SafeDumper):
    """Writes line breaks in strings as escapes; PyYAML would break the line, and with it the file."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_OneLine.add_representer(str, _represent_text)


def _fields(section: str) -> list[str]:
    return list(_section(section).model_fields)


def _default(path: str) -> str:
    """Default of a key of the task file, as YAML."""
    *sections, last = path.split(".")
    field = (_section(sections[0]) if sections else LabelingTask).model_fields[last]
    # The name of the language model alone has no default; what stands there is an example.
    return "gpt-5-mini" if field.is_required() else _quoted(field.get_default(call_default_factory=True))


def _section(name: str) -> type[BaseModel]:
    """Model of a section of the task file."""
    if name == "language_model":
        return LanguageModelSpec
    annotation = LabelingTask.model_fields[name].annotation
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        raise TypeError(f"{name} is no section of the task file")
    return annotation
