"""Metrics of a run for whoever watches the cluster: rows, shards, seconds a shard and shards that remain.

They go through Ray's own metrics, which each node offers to Prometheus. Where nothing collects them they cost a
microsecond a shard and are lost, so there is no switch. docs/watching.md says how to see them.
"""

from __future__ import annotations

from functools import cache

from ray.util.metrics import Counter, Gauge, Histogram

_TAGS = ("stage", "run")

_BOUNDARIES_S = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]
"""Of the histogram: a shard takes from a few hundredths of a second to minutes."""


class StageMeter:
    """Counts one stage of one run."""

    def __init__(self, *, stage: str, run: str, num_shards: int) -> None:
        """Say that a stage begins.

        Args:
            stage: its name.
            run: name of the run directory.
            num_shards: that it has to do in this sitting.
        """
        self._tags = {"stage": stage, "run": run}
        self._remaining = num_shards
        _remaining().set(num_shards, tags=self._tags)

    def done(self, *, rows: int, seconds: float) -> None:
        """Say that a shard is done, of so many rows and in so many seconds of its worker."""
        self._remaining -= 1
        _remaining().set(self._remaining, tags=self._tags)
        _shards().inc(1, tags=self._tags)
        _seconds().observe(seconds, tags=self._tags)
        if rows:
            _rows().inc(rows, tags=self._tags)


# One of each name a process: Ray registers a name with the first use.


@cache
def _rows() -> Counter:
    return Counter("alchemist_rows", description="Rows that a stage has done.", tag_keys=_TAGS)


@cache
def _shards() -> Counter:
    return Counter("alchemist_shards", description="Shards that a stage has done.", tag_keys=_TAGS)


@cache
def _seconds() -> Histogram:
    return Histogram(
        "alchemist_shard_seconds",
        description="Seconds that a worker took for a shard.",
        boundaries=_BOUNDARIES_S,
        tag_keys=_TAGS,
    )


@cache
def _remaining() -> Gauge:
    return Gauge("alchemist_shards_remaining", description="Shards that a stage has still to do.", tag_keys=_TAGS)
