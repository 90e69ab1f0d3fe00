"""What the report says of a column that answers should not follow; no gold is read for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependence:
    """How much answers go with the column, abstaining among them.

    Attributes:
        cramers_v: 0..1, corrected for its bias; None where the column or the answers hold one value.
        by_chance: the largest V of a thousand tables in which they are independent; None likewise.
        follows: whether V is above that and large enough to matter.
    """

    cramers_v: float | None
    by_chance: float | None
    follows: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NuisanceFigures:
    """The column that the task names in `columns.nuisance`, beside each way to a label.

    Attributes:
        rows: with a value, of all rows.
        least: V below which nothing is said to follow the column.
        labels: of the run.
        end_model: the distilled model's.
        programs: by name.
        labels_by_value: {value: {class: rows}}, the most frequent values; a row without a label is in none.
    """

    column: str
    rows: int
    num_values: int
    least: float
    labels: Dependence
    end_model: Dependence
    programs: Mapping[str, Dependence]
    labels_by_value: Mapping[str, Mapping[str, int]]
