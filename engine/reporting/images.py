"""What the report says of images: programs beside prompting, and images to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest

from engine.metrics import WorstGroup
from engine.reporting.parts import Sample

WAYS = {
    "zero_shot": "Zero-shot prompting",
    "group_prompts": "Group prompting",
    "pixel_programs": "Programs on raw pixels",
    "majority_vote": "Majority vote",
    "label_model": "Label model",
    "end_model": "Distilled model",
}
"""Ways to a label, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonLine:
    """One way from images to labels, beside prompting, on the same test rows.

    Attributes:
        accuracy_low: of its 95% interval.
        accuracy_high: likewise.
        worst_group: None without a group of enough rows.
        gap: accuracy less that of the worst group; None without one.
        gap_change: gap less that of zero-shot prompting, below 0 where groups are closer together; None where either
            is missing, and for zero-shot prompting itself.
    """

    rows: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    worst_group: WorstGroup | None
    gap: float | None
    gap_change: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFault:
    """An image without scores, and why; `text` is its name."""

    id: str | int
    text: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFigures:
    """Images to look at, of each kind a few; the `text` of each is its name. No gold is read for them.

    Attributes:
        num_faults: images without scores.
        faults: the first of them.
        most_certain: by class of the label.
        most_contested: likewise, those of the lowest confidence.
        ties: with votes, and without a label.
        overruled: whose label is not majority vote's.
        uncovered: that no program votes on, by class of the distilled model's prediction; those without scores are
            left out.
    """

    num_faults: int = 0
    faults: tuple[ImageFault, ...] = ()
    most_certain: Mapping[str, tuple[Sample, ...]]
    most_contested: Mapping[str, tuple[Sample, ...]]
    uncovered: Mapping[str, tuple[Sample, ...]]
    ties: tuple[Sample, ...] = ()
    overruled: tuple[Sample, ...] = ()

    def in_turn(self) -> list[str]:
        """Return the ids of all, once each: the first of every kind and class, then the second, and so on."""
        shelves: tuple[tuple[Sample | ImageFault, ...], ...] = (
            self.ties,
            self.overruled,
            *self.uncovered.values(),
            self.faults,
            *self.most_certain.values(),
            *self.most_contested.values(),
        )
        found = chain.from_iterable(zip_longest(*shelves))
        return list(dict.fromkeys(str(image.id) for image in found if image is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A small copy of an image for the page: a data URL, or else why there is none."""

    url: str | None = None
    why: str | None = None
