"""How much two columns go together, beside what chance alone would give: Cramér's V, corrected for its bias.

Plain V is never below 0, so on a few hundred rows it looks like a dependence where there is none. The correction takes
that away on average; how far V strays all the same is seen on tables with the same sums and no dependence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.schema import Floats

_TABLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """Of two columns, 0..1: 0 where neither tells of the other, 1 where one settles the other.

    Attributes:
        cramers_v: corrected; None where a column holds one value.
        by_chance: the largest of a thousand tables with the same sums in which the columns are independent; None
            likewise.
    """

    cramers_v: float | None
    by_chance: float | None


def association(table: npt.NDArray[np.int64], rng: np.random.Generator) -> Association:
    """Measure how much two columns go together.

    Args:
        table: (r, c) rows by the value of one column, then by that of the other.
        rng: draws the tables by chance.

    Example:
        >>> association(np.array([[500, 0], [0, 500]]), np.random.default_rng(0)).cramers_v
        1.0

    Reference:
        Bergsma, A bias-correction for Cramér's V and Tschuprow's T, Journal of the Korean Statistical Society 2013.
        The tables by chance are those that a permutation of one column gives: Patefield, Algorithm AS 159, 1981.
    """
    # Seconds to import, and only for who names a nuisance.
    from scipy.stats import random_table

    table = table[table.any(axis=1)][:, table.any(axis=0)]
    if min(table.shape) < 2 or table.sum() < 3:
        return Association(cramers_v=None, by_chance=None)
    tables = random_table(table.sum(axis=1), table.sum(axis=0), seed=rng).rvs(size=_TABLES)
    return Association(
        cramers_v=float(_corrected(table[None])[0]), by_chance=float(_corrected(np.asarray(tables)).max())
    )


def _corrected(tables: npt.NDArray[Any]) -> Floats:
    """V of each of (t, r, c) tables with the same sums, none of them 0."""
    n, (r, c) = tables[0].sum(), tables.shape[1:]
    sums = tables[0].sum(axis=1, keepdims=True) * tables[0].sum(axis=0).astype(np.float64)
    phi2 = (tables.astype(np.float64) ** 2 / sums).sum(axis=(1, 2)) - 1
    corrected = np.maximum(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
    most = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    # A table of as many values as rows says nothing of either.
    v: Floats = np.sqrt(np.minimum(1.0, corrected / most)) if most > 0 else np.zeros(len(tables))
    return v
