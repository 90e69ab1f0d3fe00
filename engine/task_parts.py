"""The parts of a labeling task: data, columns, classes, language model, and how each stage is done.

Every model forbids unknown keys, because a misspelt key that is silently ignored costs a user a night.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, field_validator, model_validator


def as_tuple(value: Any) -> Any:
    """Take a single string for a list of one."""
    return (value,) if isinstance(value, str) else value


def _as_meanings(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    twice = sorted({str(name) for name in value if value.count(name) > 1})
    if twice:
        raise ValueError(f"a field is named once, got {twice[0]!r} twice")
    return dict.fromkeys(value, "")


Paths = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class TaskModel(BaseModel):
    """Frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class DataSpec(TaskModel):
    """Where the rows are: `source` (with or without a split column), or `train` and `test`.

    Each is a file, a folder, a glob or a list of them; Parquet, CSV, TSV or JSON lines; `hf://` and other fsspec
    URLs too. Relative paths start at the task file.

    Attributes:
        on_bad_shard: what is done about a file or a part of one that cannot be read: `fail` stops the run, `skip` goes
            on without its rows, which the report lists, and ends with exit code 4.
    """

    source: Paths = ()
    train: Paths = ()
    test: Paths = ()
    split_column: str | None = None
    train_values: tuple[str, ...] = ("train",)
    test_values: tuple[str, ...] = ("test",)
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    on_bad_shard: Literal["fail", "skip"] = "fail"

    @model_validator(mode="after")
    def _one_way(self) -> DataSpec:
        if bool(self.source) == bool(self.train):
            raise ValueError("give either `source`, or `train` (and `test`)")
        if self.test and not self.train:
            raise ValueError("`test` stands beside `train`; with one file use `source` alone")
        if self.train and self.split_column:
            raise ValueError("`split_column` goes with `source`, not with `train` and `test`")
        return self


class Columns(TaskModel):
    """Which column of the data is what; `gold` and `group` are read by evaluation alone.

    Attributes:
        fields: with `modality: record`, what programs are given of a row: a list of columns, or {column: its type and
            meaning in words, for the prompt}.
        nuisance: an attribute of rows that labels should not follow, such as the background of a photograph; the
            report says whether they do. It is counted after all have answered, and neither programs nor models see it.
        image: with `modality: image`, a table's column of paths, URLs or encoded images; none for a folder of them.
    """

    text: str = "text"
    fields: Annotated[dict[str, str], BeforeValidator(_as_meanings)] = {}
    image: str | None = None
    id: str | None = None
    gold: str | None = None
    group: str | None = None
    nuisance: str | None = None


class ClassSpec(TaskModel):
    """One class: its index is its place in the list.

    Attributes:
        gold_values: values of the gold column that mean this class, besides its name and its index.
    """

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    gold_values: tuple[str, ...] = ()


class Price(TaskModel):
    """Price of a language model, as its provider states it."""

    input_per_million: Annotated[float, Field(ge=0)]
    output_per_million: Annotated[float, Field(ge=0)]
    currency: str = "USD"
    as_of: str | None = None


_OURS = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "stream",
        "stream_options",
        "system",
        "temperature",
    }
)
"""Fields of a request that an answer is read, kept and charged by."""


class LanguageModelSpec(TaskModel):
    """Which language model writes the programs, behind any OpenAI-compatible endpoint or Anthropic's.

    Attributes:
        provider: the protocol: `openai` is spoken by most servers; `anthropic` needs its extra.
        api_key_env: name of the environment variable that holds the key; the key itself never enters a file.
        max_concurrency: requests in flight at a time, where several do not depend on each other.
        extra: more fields of each request, as the endpoint knows them, such as `top_p`, `repeat_penalty` or
            `reasoning_effort`.
        price: goes before the table of list prices; where neither has one, spending is reported as unknown and a
            money budget is refused.
    """

    model: str
    provider: Literal["openai", "anthropic"] = "openai"
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    max_concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] = 4000
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    max_retries: Annotated[int, Field(ge=0)] = 4
    extra: dict[str, JsonValue] = {}
    price: Price | None = None

    @field_validator("extra")
    @classmethod
    def _nothing_of_ours(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if ours := sorted(_OURS & extra.keys()):
            raise ValueError(f"{', '.join(ours)}: the engine sets this itself; what may be chosen has a key of its own")
        return extra

    @model_validator(mode="before")
    @classmethod
    def _key_of_the_provider(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("provider") == "anthropic":
            return {"api_key_env": "ANTHROPIC_API_KEY"} | values
        return values


class Budget(TaskModel):
    """What the language model may cost at most, over all its uses; a request that could pass it is not sent."""

    money: Annotated[float, Field(ge=0)] | None = None
    tokens: Annotated[int, Field(ge=0)] | None = None


class ProgramsSpec(TaskModel):
    """Where the programs come from: a folder of .py files, or `count` of them written by the language model."""

    folder: str | None = None
    count: Annotated[int, Field(ge=1, le=1000)] = 10


class LabelModelSpec(TaskModel):
    """How votes become soft labels; majority vote is always computed beside it.

    Attributes:
        gold: files of twenty to a hundred labelled rows to fit with, of the columns `columns.text` and `columns.gold`;
            none unless named, and then the report says so.
    """

    method: Literal["moment_matching", "majority_vote", "weighted_vote", "dawid_skene", "triplets"] = "moment_matching"
    gold: Paths = ()

    @model_validator(mode="after")
    def _gold_is_of_use(self) -> LabelModelSpec:
        if self.gold and self.method != "moment_matching":
            raise ValueError(f"`gold` goes with `method: moment_matching`; {self.method} has no use for it")
        return self


class SandboxSpec(TaskModel):
    """Limits on one program.

    Attributes:
        row_timeout_s: processor time for one row.
        memory_bytes: of the program's process, besides the interpreter.
        required_level: isolation without which nothing runs: 3 is seccomp and Landlock, 2 seccomp alone, 1 Landlock
            alone, 0 a process with limits. `alchemist doctor` tells a machine's level.
        programs_may_harm_this_machine: must be said for a required level below 2, where programs can read files,
            open connections and start processes; for programs that you would run by hand.
        group_size: programs that share a process and can then reach each other: a number, `all`, or `auto`, which
            puts them together where they are very cheap or very many, because it is faster.
    """

    row_timeout_s: Annotated[float, Field(gt=0)] = 0.15
    memory_bytes: Annotated[int, Field(ge=64 << 20)] = 512 << 20
    required_level: Annotated[int, Field(ge=0, le=3)] = 2
    programs_may_harm_this_machine: bool = False
    group_size: Annotated[int, Field(ge=1)] | Literal["auto", "all"] = 1

    @model_validator(mode="after")
    def _risk_accepted(self) -> SandboxSpec:
        if self.required_level < 2 and not self.programs_may_harm_this_machine:
            raise ValueError(
                f"`required_level: {self.required_level}` lets programs run where nothing may keep them from files, "
                "the network and other processes; if you would run them by hand, say so with "
                "`programs_may_harm_this_machine: true`"
            )
        return self


class AdmissionSpec(TaskModel):
    """What a program must keep on a sample of the training rows before it runs over all rows.

    Attributes:
        rows: of the sample; 0 lets every program in untried.
        max_row_s: processor time a row, on average.
        max_error_fraction: of the rows, those that end in a fault.
        max_abstain_fraction: of the rows, those without a vote.
    """

    rows: Annotated[int, Field(ge=0)] = 2000
    max_row_s: Annotated[float, Field(gt=0)] = 0.005
    max_error_fraction: Annotated[float, Field(ge=0, le=1)] = 0.1
    max_abstain_fraction: Annotated[float, Field(ge=0, le=1)] = 1.0


class ShardSpec(TaskModel):
    """How the corpus is cut; the cut never depends on the machine."""

    max_rows: Annotated[int, Field(ge=1)] = 16_384
    max_bytes: Annotated[int, Field(ge=1024)] = 4 << 20
