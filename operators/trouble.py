"""What people are told when a stage is stuck or an item kills its workers: by name, with what to change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What errors call things by.

    Attributes:
        stage: whose work this is.
        name_of: an item, for people.
        situation: what the cluster has free and who holds the rest; asked when nothing moves.
    """

    stage: str = "a step"
    name_of: Callable[[str], str] = str
    situation: Callable[[], str] = lambda: "what the cluster has free is not known"

    def stuck(
        self, under_way: Mapping[str, tuple[int, float]], *, patience_s: float, workers: int, size: int, demand: str
    ) -> str:
        """Say that nothing moves, what is pending, what the cluster has, and what to change.

        Args:
            under_way: {item: (times it was begun, seconds since the last time)}.
            patience_s: for so long no item has finished.
            workers: that were placed.
            size: workers wanted.
            demand: of each, in words.
        """
        placed = (
            f"{self.stage}: no item finished within {patience_s:g} s: {workers} of {size} workers were placed, each "
            f"with {demand}; {self.situation()}."
        )
        if not under_way:
            return f"{placed} End what holds the cluster, add nodes, or wait and run again; what was done is kept"
        longest = sorted(under_way.items(), key=lambda entry: -entry[1][1])[:3]
        told = ", ".join(f"{self.name_of(item)} (attempt {n}, {seconds:.0f} s ago)" for item, (n, seconds) in longest)
        more = f" and {len(under_way) - len(longest)} more" if len(under_way) > len(longest) else ""
        return (
            f"{placed} Begun and not ended: {told}{more}. If these take long rightly, cut them smaller with "
            "`shards.max_rows`; else look at what they hold. What was done is kept"
        )

    def deadly(self, item: str, deaths: int) -> str:
        """Say that an item kills its workers."""
        return (
            f"{self.stage}: {self.name_of(item)} has killed its worker {deaths} times, and it is not tried again. The "
            "process ended without an error of its own: it ran out of memory (then lower `shards.max_rows` and "
            "`shards.max_bytes`), a library crashed on what these rows hold, or somebody ended it. What was done is "
            "kept"
        )
