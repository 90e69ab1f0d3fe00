"""What Snorkel's users ask of a label matrix: a summary of its labeling functions, and how often they agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.label_model.intervals import intervals_of
from engine.label_model.model import LabelModel
from operators.moments import Moments
from operators.patterns import Patterns
from operators.schema import ABSTAIN, Floats
from operators.tally import Tally


def lf_summary(
    L: npt.NDArray[Any],
    gold: npt.NDArray[Any] | None = None,
    *,
    names: Sequence[str] | None = None,
    model: LabelModel | None = None,
) -> pd.DataFrame:
    """Summarise each program, under the column names of Snorkel's `LFAnalysis.lf_summary`.

    Args:
        L: (n, m) integers, each ABSTAIN or a class from 0.
        gold: (n,) classes, ABSTAIN where unknown; adds the columns Correct, Incorrect and Emp. Acc.
        names: (m,) of the rows of the result; 0..m-1 without.
        model: fitted on `L`; adds the columns Est. Acc., Est. Low and Est. High (an interval of 95%, NaN where it
            cannot be had) and Repeats, the numbers of the programs whose votes it repeats.

    Returns:
        m rows; Polarity is the list of classes voted, Coverage, Overlaps and Conflicts are shares of rows,
        Correct and Incorrect count votes on rows with gold, and Emp. Acc. is NaN where there are none.

    Raises:
        ValueError: `L` is no label matrix, or `gold` or `names` have another length.

    Example:
        >>> lf_summary(np.array([[0, 1], [0, -1]]), names=["a", "b"])[["Polarity", "Coverage", "Conflicts"]]
          Polarity  Coverage  Conflicts
        a      [0]       1.0        0.5
        b      [1]       0.5        0.5
    """
    num_classes = max(2, int(L.max(initial=0)) + 1)
    tally = Tally.of(L, None, num_classes)
    if names is not None and len(names) != L.shape[1]:
        raise ValueError(f"{len(names)} names stand beside {L.shape[1]} programs")
    index = None if names is None else pd.Index(list(names))
    columns = ["j", "Polarity", "Coverage", "Overlaps", "Conflicts"]
    summary = pd.DataFrame(tally.lf_summary(), columns=columns, index=index)
    if model is not None:
        _add_estimates(summary, L, model)
    if gold is None:
        return summary
    if gold.shape != (len(L),):
        raise ValueError(f"gold must have shape ({len(L)},), got {gold.shape}")
    counted = (L != ABSTAIN) & (gold != ABSTAIN)[:, None]
    correct = (counted & (gold[:, None] == L)).sum(axis=0)
    total = counted.sum(axis=0)
    summary["Correct"] = correct
    summary["Incorrect"] = total - correct
    summary["Emp. Acc."] = np.divide(correct, total, out=np.full(len(total), np.nan), where=total > 0)
    return summary


def pairwise_agreement(moments: Moments) -> Floats:
    """How often two programs agree, of the rows on which both vote.

    Returns:
        (m, m), 0..1; NaN where two never vote on one row, 1 on the diagonal of a program that votes.

    Example:
        >>> pairwise_agreement(Moments.of(np.array([[0, 0], [1, 0], [1, -1]]), 2))
        array([[1. , 0.5],
               [0.5, 1. ]])
    """
    agreeing = np.einsum("iaja->ij", moments.second).astype(np.float64)
    meetings = moments.second.sum(axis=(1, 3)).astype(np.float64)
    agreement: Floats = np.full(meetings.shape, np.nan)
    np.divide(agreeing, meetings, out=agreement, where=meetings > 0)
    return agreement


def _add_estimates(summary: pd.DataFrame, L: npt.NDArray[Any], model: LabelModel) -> None:
    summary["Est. Acc."] = model.accuracies
    found = intervals_of(model, Patterns.of(L, model.num_classes))
    low_high = np.full((model.num_programs, 2), np.nan) if found is None else found.accuracies
    summary["Est. Low"], summary["Est. High"] = low_high.T
    repeats: list[set[int]] = [set() for _ in range(model.num_programs)]
    for pair in model.diagnostics.duplicates if model.diagnostics is not None else ():
        repeats[pair.program].add(pair.other)
        repeats[pair.other].add(pair.program)
    summary["Repeats"] = [sorted(others) for others in repeats]
