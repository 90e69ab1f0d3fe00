"""Speeds of benchmarks/clip_throughput.py: differences of two runs, ratios to the bare model, medians over rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from process_tree import Usage

BARS = {"cpu": ("jpegs", 0.9), "cuda": ("resized", 0.8)}
"""What is held against the bare model: on a GPU, photographs are resized once, beforehand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Images a second, and a CPU second."""

    per_s: float
    per_cpu_s: float

    @classmethod
    def between(cls, few: Usage, many: Usage, images: int) -> Rate:
        """Of what the larger run did more than the smaller one."""
        return cls(per_s=images / (many.seconds - few.seconds), per_cpu_s=images / (many.cpu_s - few.cpu_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one round found."""

    bare: Rate
    jpegs: Rate
    resized: Rate
    stored: Rate


def summary(rounds: Sequence[Rates], *, device: str) -> dict[str, Any]:
    """Take medians over rounds, of rates and of ratios to the bare model, and hold the bar against one."""
    found: dict[str, Any] = {}
    for unit in Rate.__slots__:
        rates = {name: [getattr(getattr(one, name), unit) for one in rounds] for name in Rates.__slots__}
        ratios = {
            name: [rate / bare for rate, bare in zip(values, rates["bare"], strict=True)]
            for name, values in rates.items()
            if name != "bare"
        }
        found[f"images_{unit}"] = {name: round(statistics.median(values), 1) for name, values in rates.items()}
        found[f"of_the_bare_model_{unit}"] = {
            name: {"median": round(statistics.median(values), 3), "rounds": [round(value, 3) for value in values]}
            for name, values in ratios.items()
        }
    what, bar = BARS[device]
    held = found["of_the_bare_model_per_s"][what]["median"] >= bar
    return {**found, "bar": {"of": what, "at_least": bar, "held": held}}
