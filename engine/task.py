"""The labeling task: what a user writes in task.yaml, checked and frozen.

A task says everything that changes a result and nothing about the machine. Every model forbids unknown keys,
because a misspelt key that is silently ignored costs a user a night.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from engine.errors import ConfigError
from operators.schema import MAX_CLASSES


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Paths = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class DataSpec(_Model):
    """Where the rows are: `source` (with or without a split column), or `train` and `test`.

    Each is a file, a folder, a glob or a list of them; Parquet, CSV, TSV or JSON lines; `hf://` and other fsspec
    URLs too. Relative paths start at the task file.
    """

    source: Paths = ()
    train: Paths = ()
    test: Paths = ()
    split_column: str | None = None
    train_values: tuple[str, ...] = ("train",)
    test_values: tuple[str, ...] = ("test",)
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2

    @model_validator(mode="after")
    def _one_way(self) -> DataSpec:
        if bool(self.source) == bool(self.train):
            raise ValueError("give either `source`, or `train` (and `test`)")
        if self.test and not self.train:
            raise ValueError("`test` stands beside `train`; with one file use `source` alone")
        if self.train and self.split_column:
            raise ValueError("`split_column` goes with `source`, not with `train` and `test`")
        return self


class Columns(_Model):
    """Which column of the data is what; `gold` and `group` are read by evaluation alone."""

    text: str = "text"
    id: str | None = None
    gold: str | None = None
    group: str | None = None


class ClassSpec(_Model):
    """One class: its index is its place in the list.

    Attributes:
        gold_values: values of the gold column that mean this class, besides its name and its index.
    """

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    gold_values: tuple[str, ...] = ()


class Price(_Model):
    """Price of a language model, as its provider states it."""

    input_per_million: Annotated[float, Field(ge=0)]
    output_per_million: Annotated[float, Field(ge=0)]
    currency: str = "USD"
    as_of: str | None = None


class LanguageModelSpec(_Model):
    """Which language model writes the programs, behind any OpenAI-compatible endpoint.

    Attributes:
        api_key_env: name of the environment variable that holds the key; the key itself never enters a file.
        price: without it spending is reported as unknown and a money budget is refused.
    """

    model: str
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] = 4000
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    max_retries: Annotated[int, Field(ge=0)] = 4
    price: Price | None = None


class Budget(_Model):
    """What synthesis may spend at most; a request that could pass it is not sent."""

    money: Annotated[float, Field(ge=0)] | None = None
    tokens: Annotated[int, Field(ge=0)] | None = None


class ProgramsSpec(_Model):
    """Where the programs come from: a folder of .py files, or `count` of them written by the language model."""

    folder: str | None = None
    count: Annotated[int, Field(ge=1, le=1000)] = 10


class LabelModelSpec(_Model):
    """How votes become soft labels; majority vote is always computed beside it."""

    method: Literal["moment_matching", "majority_vote"] = "moment_matching"


class EndModelSpec(_Model):
    """The model distilled from the soft labels.

    Attributes:
        encoder: for `features: encoder`, a transformers folder or hub name.
        trainer: `auto` trains in this process when the features fit there, and with Ray Train otherwise.
        regularization: weight decays to choose from, on held-out soft labels.
    """

    features: Literal["hashed_ngrams", "encoder"] = "hashed_ngrams"
    encoder: str | None = None
    num_features_log2: Annotated[int, Field(ge=10, le=24)] = 18
    max_ngram: Annotated[int, Field(ge=1, le=3)] = 2
    epochs: Annotated[int, Field(ge=1)] = 12
    batch_size: Annotated[int, Field(ge=1)] = 256
    learning_rate: Annotated[float, Field(gt=0)] = 0.02
    regularization: Annotated[tuple[float, ...], Field(min_length=1)] = (1e-6, 1e-5, 1e-4, 1e-3)
    trainer: Literal["auto", "process", "ray"] = "auto"
    num_workers: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _encoder_named(self) -> EndModelSpec:
        if (self.features == "encoder") != (self.encoder is not None):
            raise ValueError("`features: encoder` and `encoder: <folder or hub name>` go together")
        return self


class SandboxSpec(_Model):
    """Limits on one program."""

    row_timeout_s: Annotated[float, Field(gt=0)] = 0.15
    memory_bytes: Annotated[int, Field(ge=64 << 20)] = 512 << 20


class ShardSpec(_Model):
    """How the corpus is cut; the cut never depends on the machine."""

    max_rows: Annotated[int, Field(ge=1)] = 16_384
    max_bytes: Annotated[int, Field(ge=1024)] = 4 << 20


class LabelingTask(_Model):
    """A labeling task: classes, instruction, data and how each stage is done.

    Example:
        >>> task = LabelingTask(
        ...     name="spam",
        ...     data={"source": "comments.csv"},
        ...     classes=[{"name": "ham"}, {"name": "spam"}],
        ...     instruction="Label a comment as spam or ham.",
        ... )
        >>> task.class_names
        ('ham', 'spam')
    """

    name: Name
    modality: Literal["text"] = "text"
    data: DataSpec
    columns: Columns = Columns()
    classes: Annotated[tuple[ClassSpec, ...], Field(min_length=2, max_length=MAX_CLASSES)]
    positive: str | None = None
    instruction: Annotated[str, Field(min_length=1)]
    knowledge: str = ""
    class_balance: Literal["estimate"] | dict[str, float] = "estimate"
    programs: ProgramsSpec = ProgramsSpec()
    language_model: LanguageModelSpec | None = None
    budget: Budget = Budget()
    label_model: LabelModelSpec = LabelModelSpec()
    end_model: EndModelSpec = EndModelSpec()
    sandbox: SandboxSpec = SandboxSpec()
    shards: ShardSpec = ShardSpec()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> LabelingTask:
        names = self.class_names
        if len(set(names)) != len(names):
            raise ValueError(f"class names must differ, got {list(names)}")
        if self.positive is not None and self.positive not in names:
            raise ValueError(f"`positive: {self.positive}` is not a class; the classes are {list(names)}")
        if isinstance(self.class_balance, dict):
            if set(self.class_balance) != set(names):
                raise ValueError(
                    f"`class_balance` must name each class once: expected {list(names)}, got {list(self.class_balance)}"
                )
            shares = self.class_balance.values()
            if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
                raise ValueError("`class_balance` must be positive shares that sum to 1")
        if self.budget.money is not None and (self.language_model is None or self.language_model.price is None):
            raise ValueError(
                "`budget.money` needs `language_model.price`, else no request can be checked against it; "
                "give the price, or a budget in tokens"
            )
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their indices."""
        return tuple(c.name for c in self.classes)

    @property
    def num_classes(self) -> int:
        """k."""
        return len(self.classes)

    @property
    def positive_class(self) -> int:
        """Index of the class whose F1 is reported for two classes; the last class unless told."""
        return self.num_classes - 1 if self.positive is None else self.class_names.index(self.positive)

    @property
    def prior(self) -> tuple[float, ...] | None:
        """(k,) class balance where the user gave it, None where it is to be estimated."""
        if self.class_balance == "estimate":
            return None
        return tuple(self.class_balance[name] for name in self.class_names)

    def gold_index(self) -> dict[str, int]:
        """Map each accepted value of the gold column, as text, to its class index."""
        index = {str(i): i for i in range(self.num_classes)}
        index |= {c.name: i for i, c in enumerate(self.classes)}
        index |= {value: i for i, c in enumerate(self.classes) for value in c.gold_values}
        return index


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
    return task.model_copy(update={"data": task.data.model_copy(update=data), "programs": programs})


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
