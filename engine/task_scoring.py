"""How images, or rows of another modality, are scored: by which featurizer, against which descriptions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.task_parts import TaskModel

Normalisation = Literal["softmax", "min_max", "none"]


class ScoringSpec(TaskModel):
    """With `modality: image`, how rows become the scores that programs read.

    Attributes:
        featurizer: `package.module:Class`; docs/featurizers.md says what one is.
        options: keywords of the featurizer; of CLIP, `model` and `pretrained`.
        concepts: a file of concepts; `concepts.yaml` beside the programs or in the run directory unless given, and
            where there is none the language model is asked for one.
        num_concepts: that it is asked for.
        normalisation: `softmax` over the descriptions of a concept; `min_max` to 0..1 over all images, a description at
            a time; `none` where the featurizer's scores are used as they are.
        zero_shot: {class: prompt} of the baseline that takes the class whose prompt fits best; "an image of <class>"
            for classes that are not named. Without any, a featurizer that takes no free text has no such baseline.
        group_prompts: {prompt: class} of the baseline whose prompts name groups too; none unless given.
        pixel_programs: a folder of programs of the baseline that is given pixels in the place of scores; none unless
            given. They run on the test rows alone.
        pixel_side: height and width that an image is brought to for them.
    """

    featurizer: str = "operators.clip:OpenClip"
    options: dict[str, str | int | float | bool | list[float] | None] = {}  # noqa: RUF012 - pydantic gives each its own
    concepts: str | None = None
    num_concepts: Annotated[int, Field(ge=1, le=100)] = 10
    normalisation: Normalisation = "softmax"
    zero_shot: dict[str, str] = {}  # noqa: RUF012
    group_prompts: dict[str, str] = {}  # noqa: RUF012
    pixel_programs: str | None = None
    pixel_side: Annotated[int, Field(ge=8, le=256)] = 64
