"""What rows are scored by: a default prompt only where free text is understood, and none that is not."""

from __future__ import annotations

import pytest

from engine.errors import ConfigError
from engine.stages.descriptions import GROUP_PROMPTS, ZERO_SHOT, _baselines
from engine.task import LabelingTask
from operators.featurizer import Traits

SOUND = Traits(row="recording", texts=("low", "high"))


def task(**scoring: object) -> LabelingTask:
    return LabelingTask.model_validate(
        {
            "name": "t",
            "modality": "image",
            "data": {"source": "x"},
            "classes": [{"name": "hum"}, {"name": "hiss"}],
            "instruction": "Label it.",
            "scoring": scoring,
        }
    )


def test_zero_shot_prompting_is_there_wherever_free_text_is() -> None:
    """A class without a prompt has one by its name, in the words of the featurizer."""
    assert _baselines(task(zero_shot={"hum": "a low hum"}), Traits()) == {
        ZERO_SHOT: (("a low hum", 0), ("an image of hiss", 1))
    }
    assert _baselines(task(), Traits(row="recording"))[ZERO_SHOT][1] == ("recording of hiss", 1)


def test_a_featurizer_of_fixed_descriptions_has_the_prompts_that_the_task_names() -> None:
    """None by default, as it knows no names of classes; one that it does not know is told with its key."""
    assert _baselines(task(), SOUND) == {}
    assert _baselines(task(zero_shot={"hum": "low", "hiss": "high"}), SOUND) == {ZERO_SHOT: (("low", 0), ("high", 1))}
    assert _baselines(task(group_prompts={"high": "hiss", "low": "hum"}), SOUND) == {
        GROUP_PROMPTS: (("high", 1), ("low", 0))
    }
    with pytest.raises(ConfigError, match=r"scoring\.zero_shot`: 'recording of hiss' is no description"):
        _baselines(task(zero_shot={"hum": "low"}), SOUND)
    with pytest.raises(ConfigError, match=r"scoring\.group_prompts`: 'loud' is no description"):
        _baselines(task(group_prompts={"loud": "hum"}), SOUND)
