"""Wilson's interval of a share: how far the accuracy on these rows may be from the accuracy on all such rows.

The plain interval, share plus and minus its error, is empty where all of ten rows are right, and groups are small and
often near 1. Wilson's is not, and never leaves 0..1.
"""

from __future__ import annotations

_NORMAL_95 = 1.959963984540054
"""97.5% quantile of the normal distribution."""


def wilson(share: float, rows: int) -> tuple[float, float]:
    """Return low and high of the 95% interval.

    A tie that counts as half a right row varies less than a row that is right or wrong, so with ties the interval is
    too wide rather than too narrow.

    Args:
        share: of the rows that are right, 0..1.
        rows: at least 1, drawn independently.

    Raises:
        ValueError: there are no rows, or the share is not in 0..1.

    Example:
        >>> [round(bound, 4) for bound in wilson(1.0, 10)]
        [0.7225, 1.0]

    Reference:
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 1927.
    """
    if rows < 1 or not 0 <= share <= 1:
        raise ValueError(f"expected a share in 0..1 of at least one row, got {share} of {rows}")
    z2 = _NORMAL_95**2
    middle = share + z2 / (2 * rows)
    reach = _NORMAL_95 * (share * (1 - share) / rows + z2 / (4 * rows * rows)) ** 0.5
    whole = 1 + z2 / rows
    # Of a share of 0 or 1 one end is the share itself, and rounding may pass it.
    return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)
