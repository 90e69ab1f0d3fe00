"""The part of a labeling task that says which rows the language model labels directly.

Apart from task_parts.py for its length alone.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from engine.task_parts import TaskModel


class AnnotateSpec(TaskModel):
    """Rows that the language model labels directly, one request a row; none unless asked for.

    Attributes:
        baseline_rows: test rows labeled as a baseline: the report states the model's accuracy beside the others' on
            the same rows. The labels of the run do not change by it.
        label_rest: whether the rows named by `uncovered` and `below_confidence` get the model's label.
        uncovered: those on which no program votes.
        below_confidence: those that the label model is less sure of; 0 for none.
        max_rows: of `label_rest`; uncovered rows come first, then the least certain.
        max_output_tokens: of one answer; a class takes three, the rest is for models that think first.
        max_text_chars: of a row's text; what stands beyond is not sent, and such rows are counted.
    """

    baseline_rows: Annotated[int, Field(ge=0)] = 0
    label_rest: bool = False
    uncovered: bool = True
    below_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_rows: Annotated[int, Field(ge=1)] = 1000
    max_output_tokens: Annotated[int, Field(ge=1)] = 1000
    max_text_chars: Annotated[int, Field(ge=1)] = 20_000

    @property
    def wanted(self) -> bool:
        """Whether any row is to be asked about."""
        return self.baseline_rows > 0 or self.label_rest

    @model_validator(mode="after")
    def _rest_is_named(self) -> AnnotateSpec:
        if self.label_rest and not self.uncovered and not self.below_confidence:
            raise ValueError(
                "`label_rest` needs `uncovered: true` or a `below_confidence` above 0, else it has no rows"
            )
        return self
