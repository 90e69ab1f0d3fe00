"""Task files: YAML read into a labeling task, and each mistake answered with its key and the nearest known one."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from engine.errors import ConfigError
from engine.task import LabelingTask


def read_task(path: str | Path) -> LabelingTask:
    """Read and check a task file; relative paths in it are taken from its folder.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds an unknown key or a wrong value; the message
            names the file and the key, and the nearest known key for an unknown one.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such task file; `alchemist init DATA` writes one") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: a task file is a mapping of keys, got {type(content).__name__}")
    return task_from(content, where=str(path), folder=path.parent)


def with_overrides(
    task: LabelingTask, *, data: Sequence[str] | None = None, programs: str | Path | None = None
) -> LabelingTask:
    """Replace where the rows and the programs come from; relative paths start from the working directory.

    Raises:
        ConfigError: the task has train and test files, for which one list of files cannot stand in.
    """
    changes: dict[str, Any] = {}
    if data:
        if task.data.train:
            raise ConfigError("--data stands for `data.source`, and this task names `data.train`; edit the task file")
        source = tuple(resolve(path, Path.cwd()) for path in data)
        changes["data"] = task.data.model_copy(update={"source": source})
    if programs is not None:
        folder = resolve(str(programs), Path.cwd())
        changes["programs"] = task.programs.model_copy(update={"folder": folder})
    return task.model_copy(update=changes)


def task_from(content: dict[str, Any], *, where: str, folder: Path) -> LabelingTask:
    """Check a mapping and make its paths absolute.

    Args:
        content: what task.yaml holds.
        where: named in messages.
        folder: what relative paths start from.

    Raises:
        ConfigError: as `read_task`.
    """
    try:
        task = LabelingTask.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {_explain(e)}" for e in error.errors())) from None
    data = {
        field: tuple(resolve(p, folder) for p in getattr(task.data, field)) for field in ("source", "train", "test")
    }
    programs = task.programs
    if programs.folder is not None:
        programs = programs.model_copy(update={"folder": resolve(programs.folder, folder)})
    end_model = task.end_model
    if end_model.encoder is not None and (folder / end_model.encoder).is_dir():
        end_model = end_model.model_copy(update={"encoder": resolve(end_model.encoder, folder)})
    synthesis = task.synthesis
    documents = tuple(resolve(p, folder) for p in synthesis.documents)
    synthesis = synthesis.model_copy(update={"documents": documents})
    if synthesis.encoder is not None and (folder / synthesis.encoder).is_dir():
        synthesis = synthesis.model_copy(update={"encoder": resolve(synthesis.encoder, folder)})
    gold = tuple(resolve(p, folder) for p in task.label_model.gold)
    scoring = task.scoring
    if scoring.concepts is not None:
        scoring = scoring.model_copy(update={"concepts": resolve(scoring.concepts, folder)})
    if scoring.pixel_programs is not None:
        scoring = scoring.model_copy(update={"pixel_programs": resolve(scoring.pixel_programs, folder)})
    beside = {
        k: resolve(v, folder) for k, v in scoring.options.items() if isinstance(v, str) and (folder / v).is_file()
    }
    scoring = scoring.model_copy(update={"options": scoring.options | beside})
    changes = {
        "data": task.data.model_copy(update=data),
        "programs": programs,
        "synthesis": synthesis,
        "label_model": task.label_model.model_copy(update={"gold": gold}),
        "end_model": end_model,
        "scoring": scoring,
        "storage": None if task.storage is None else resolve(task.storage, folder),
    }
    return task.model_copy(update=changes)


def resolve(path: str, folder: Path) -> str:
    """Return `path` as it is if it is a URL or absolute, else taken from `folder`."""
    if "://" in path:
        return path
    expanded = Path(path).expanduser()
    return str(expanded if expanded.is_absolute() else (folder / expanded).resolve())


def _explain(error: Any) -> str:
    location = error["loc"]
    key = ".".join(str(part) for part in location if part != "function-after")
    if error["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known keys here: {', '.join(known)}"
        return f"unknown key `{key}`; {hint}"
    if error["type"] == "missing":
        return f"`{key}` is missing"
    message = error["msg"].removeprefix("Value error, ")
    value = "" if isinstance(error["input"], dict) else f" (got {error['input']!r})"
    return f"`{key}`: {message}{value}" if key else message


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = LabelingTask
    for part in location:
        if isinstance(part, int) or part not in model.model_fields:
            continue
        inner = _model_in(model.model_fields[part].annotation)
        if inner is not None:
            model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if typing.get_origin(annotation) is None and isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((m for a in typing.get_args(annotation) if (m := _model_in(a)) is not None), None)
