"""What Snorkel's users ask of a label matrix in memory: its summary of labeling functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from operators.schema import ABSTAIN
from operators.tally import Tally


def lf_summary(
    L: npt.NDArray[Any], gold: npt.NDArray[Any] | None = None, *, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Summarise each program, under the column names of Snorkel's `LFAnalysis.lf_summary`.

    Args:
        L: (n, m) integers, each ABSTAIN or a class from 0.
        gold: (n,) classes, ABSTAIN where unknown; adds the columns Correct, Incorrect and Emp. Acc.
        names: (m,) of the rows of the result; 0..m-1 without.

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
