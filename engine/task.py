"""The labeling task: what a user writes in task.yaml, as a frozen value that checks itself.

A task says everything that changes a result and nothing about the machine.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.task_parts import (
    AdmissionSpec,
    Budget,
    ClassSpec,
    Columns,
    DataSpec,
    EndModelSpec,
    LabelModelSpec,
    LanguageModelSpec,
    Name,
    ProgramsSpec,
    SandboxSpec,
    ShardSpec,
    SynthesisSpec,
    TaskModel,
)
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
    synthesis: SynthesisSpec = SynthesisSpec()
    budget: Budget = Budget()
    label_model: LabelModelSpec = LabelModelSpec()
    end_model: EndModelSpec = EndModelSpec()
    admission: AdmissionSpec = AdmissionSpec()
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
