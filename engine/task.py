"""The labeling task: what a user writes in task.yaml, as a frozen value that checks itself.

A task says everything that changes a result and nothing about the machine, but for `storage`: where its files go may
belong to the corpus.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.prices import price_of, why_unknown
from engine.synthesis_spec import SynthesisSpec
from engine.task_annotate import AnnotateSpec
from engine.task_end_model import EndModelSpec
from engine.task_parts import (
    AdmissionSpec,
    Budget,
    ClassSpec,
    Columns,
    DataSpec,
    LabelModelSpec,
    LanguageModelSpec,
    Name,
    ProgramsSpec,
    SandboxSpec,
    ShardSpec,
    TaskModel,
)
from engine.task_scoring import ScoringSpec
from operators.schema import MAX_CLASSES


class LabelingTask(TaskModel):
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
    modality: Literal["text", "record", "image"] = "text"
    data: DataSpec
    columns: Columns = Columns()
    classes: Annotated[tuple[ClassSpec, ...], Field(min_length=2, max_length=MAX_CLASSES)]
    positive: str | None = None
    instruction: Annotated[str, Field(min_length=1)]
    knowledge: str = ""
    class_balance: Literal["estimate"] | dict[str, float] = "estimate"
    programs: ProgramsSpec = ProgramsSpec()
    language_model: LanguageModelSpec | None = None
    scoring: ScoringSpec = ScoringSpec()
    synthesis: SynthesisSpec = SynthesisSpec()
    budget: Budget = Budget()
    annotate: AnnotateSpec = AnnotateSpec()
    label_model: LabelModelSpec = LabelModelSpec()
    end_model: EndModelSpec = EndModelSpec()
    admission: AdmissionSpec = AdmissionSpec()
    sandbox: SandboxSpec = SandboxSpec()
    shards: ShardSpec = ShardSpec()
    storage: Annotated[str, Field(min_length=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> LabelingTask:
        names = self.class_names
        if len(set(names)) != len(names):
            raise ValueError(f"class names must differ, got {list(names)}")
        if self.positive is not None and self.positive not in names:
            raise ValueError(f"`positive: {self.positive}` is not a class; the classes are {list(names)}")
        meanings: dict[str, str] = {name: name for name in names}
        for c in self.classes:
            for value in c.gold_values:
                if meanings.setdefault(value, c.name) != c.name:
                    raise ValueError(f"gold value {value!r} means both {meanings[value]!r} and {c.name!r}")
        if isinstance(self.class_balance, dict):
            if set(self.class_balance) != set(names):
                raise ValueError(
                    f"`class_balance` must name each class once: expected {list(names)}, got {list(self.class_balance)}"
                )
            shares = self.class_balance.values()
            if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
                raise ValueError("`class_balance` must be positive shares that sum to 1")
        if self.label_model.gold and self.columns.gold is None:
            raise ValueError("`label_model.gold` needs `columns.gold`, the column with the labels in its files")
        if self.annotate.wanted and self.language_model is None:
            raise ValueError("`annotate` needs a `language_model` that labels the rows")
        if self.budget.money is not None and (self.language_model is None or price_of(self.language_model) is None):
            raise ValueError(
                f"`budget.money` needs `language_model.price`, else no request can be checked against it "
                f"({why_unknown(self.language_model)}); give the price, or a budget in tokens"
            )
        self._check_fields()
        self._check_images()
        self._check_knowledge_model()
        return self

    def _check_fields(self) -> None:
        columns = self.columns
        if self.end_model.features == "columns" and self.modality != "record":
            raise ValueError(
                f"`end_model.features: columns` goes with `modality: record`, got `modality: {self.modality}`"
            )
        if (self.modality == "record") != bool(columns.fields):
            raise ValueError(
                "`modality: record` and `columns.fields`, the columns that programs are given, go together; got "
                f"`modality: {self.modality}` and the fields {list(columns.fields)}"
            )
        secret = [name for name in (columns.gold, columns.group) if name in columns.fields]
        if secret:
            raise ValueError(f"{secret[0]!r} is read by the evaluation alone, so it cannot be among `columns.fields`")
        nuisance = columns.nuisance
        seen = [*columns.fields, columns.image, *([] if self.modality == "image" else [columns.text])]
        if nuisance is not None and nuisance in seen:
            raise ValueError(f"labels should not follow `columns.nuisance: {nuisance}`, and programs are given it")
        if nuisance is not None and nuisance == columns.gold:
            raise ValueError(f"`columns.nuisance: {nuisance}` holds the gold labels, which labels should follow")

    def _check_images(self) -> None:
        if self.modality != "image":
            if self.columns.image is not None:
                raise ValueError(f"`columns.image` goes with `modality: image`, got `modality: {self.modality}`")
            return
        # A file's name may give its class away, so nobody reads it: neither a model that labels nor one that writes.
        for key, wanted in (
            ("synthesis.show_rows", self.synthesis.show_rows),
            ("annotate", self.annotate.wanted),
            ("label_model.gold", self.label_model.gold),
            ("end_model.encoder", self.end_model.encoder),
        ):
            if wanted:
                raise ValueError(f"`{key}` is for texts and records; leave it out with `modality: image`")
        known, named = self.class_names, (*self.scoring.zero_shot, *self.scoring.group_prompts.values())
        unknown = [name for name in named if name not in known]
        if unknown:
            raise ValueError(f"`scoring` has a prompt for {unknown[0]!r}, which is no class; they are {list(known)}")

    def _check_knowledge_model(self) -> None:
        other = self.synthesis.knowledge_model
        if other is None:
            return
        if self.language_model is None:
            raise ValueError("`synthesis.knowledge_model` stands beside a `language_model`, which writes the programs")
        if self.budget.money is None:
            return
        price, theirs = price_of(self.language_model), price_of(other)
        if theirs is None:
            raise ValueError(
                f"`budget.money` needs `synthesis.knowledge_model.price` too ({why_unknown(other)}), or a budget in "
                "tokens"
            )
        if price is not None and theirs.currency != price.currency:
            raise ValueError(
                f"`budget.money` needs one currency: `language_model.price` is in {price.currency} and "
                f"`synthesis.knowledge_model.price` in {theirs.currency}"
            )

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
