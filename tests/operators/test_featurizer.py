"""A featurizer is found by its import path and checked at the door; the documented example is one."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from operators.errors import InputError
from operators.featurizer import FeaturizerSpec, Traits, checked, scores_of
from operators.images import UnreadableRow

EXAMPLES = Path(__file__).parents[2] / "examples" / "featurizers"


@pytest.mark.parametrize(
    ("use", "options", "reason"),
    [
        ("operators.clip", {}, "expected package.module:Class"),
        ("no_such_module:X", {}, "cannot be imported"),
        ("operators.featurizer:Nobody", {}, "has no Nobody"),
        ("operators.featurizer:FeaturizerSpec", {"colour": 1}, "cannot be made with"),
        ("operators.featurizer:FeaturizerSpec", {"use": "x"}, "lacks num_features, prepare, embed, scores"),
    ],
)
def test_what_is_no_featurizer_is_told(use, options, reason):
    """The message says what was expected of the class or of its options."""
    with pytest.raises(InputError, match=reason):
        FeaturizerSpec(use=use, options=options).make()


def test_embeddings_of_a_wrong_shape_are_refused():
    """Hidden states in the place of embeddings, or numbers that are none, do not pass."""
    good = np.ones((2, 3))
    assert checked(good, rows=2, num_features=3, use="x").dtype == np.float16
    assert checked(np.full((2, 3), 65_504.0), rows=2, num_features=3, use="x").max() == 65_504
    nothing, large = np.full((2, 3), np.nan), np.full((2, 3), 70_000, np.float32)
    for bad in (np.ones((2, 7, 3)), np.ones((2, 4)), np.ones((1, 3)), nothing, large):
        with pytest.raises(InputError, match="expected finite numbers of shape"):
            checked(bad, rows=2, num_features=3, use="x")


class Fixed:
    """Gives the scores that it is made with."""

    def __init__(self, scores) -> None:
        self.scores = lambda embeddings, texts: scores


def test_scores_that_are_none_are_refused():
    """The message names the featurizer, and the row and the description of a score that is no number."""
    args = {"names": ["a.png", "b.png"], "use": "pkg:Own"}
    halves = np.ones((2, 3), np.float16)
    good = np.array([[1, 2], [3, 4]], np.float32)
    assert scores_of(Fixed(good), halves, ["red", "green"], **args).tolist() == [[1, 2], [3, 4]]
    for shape in ((2, 3), (1, 2), (2, 2, 1), (2,)):
        with pytest.raises(InputError, match=r"pkg:Own gave scores of shape .*expected \(2, 2\)"):
            scores_of(Fixed(np.ones(shape)), halves, ["red", "green"], **args)
    for value in (np.nan, np.inf):
        bad = good.copy()
        bad[1, 0] = value
        with pytest.raises(InputError, match=rf"pkg:Own gave b\.png the score {value} for the description 'red'"):
            scores_of(Fixed(bad), halves, ["red", "green"], **args)


def test_a_class_says_what_it_scores():
    """Its attributes are its traits; a class that says nothing scores images by free text."""
    assert FeaturizerSpec(use="operators.images:UnreadableRow").traits() == Traits(row="image", scale="", texts=None)
    assert "between 15 and 35" in FeaturizerSpec(use="operators.clip:OpenClip").traits().scale
    known = Traits(row="recording", texts=("low", "high"))
    assert known.why_not("low") is None
    assert "'an image of hum' is no description" in str(known.why_not("an image of hum"))
    assert Traits().why_not("an image of hum") is None


def test_options_are_part_of_the_identity():
    """Embeddings by other options are other embeddings."""
    one, two = (FeaturizerSpec(use="operators.images:UnreadableRow", options={"use": u}) for u in "ab")
    assert one.identity() == FeaturizerSpec(use=one.use, options={"use": "a"}).identity()
    assert one.identity() != two.identity()


def sound(samples, *, width=2):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def test_the_example_tells_sounds_apart(monkeypatch):
    """A tone is high or low, loud or soft, and noise is noisy; opposites sum to 1, and that is all it knows."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    spec = FeaturizerSpec(use="wav_signal:WavSignal")
    featurizer, traits = spec.make(), spec.traits()
    time = np.arange(4000) / 8000
    tones = [loud * np.sin(2 * np.pi * pitch * time) for loud, pitch in ((0.9, 200), (0.05, 200), (0.9, 3000))]
    tones.append(np.random.default_rng(0).uniform(-0.9, 0.9, 4000))
    embeddings = featurizer.embed([featurizer.prepare(sound(tone)) for tone in tones])
    assert traits.row == "recording"
    assert traits.texts is not None
    scores = dict(zip(traits.texts, featurizer.scores(embeddings, traits.texts).T, strict=True))
    assert embeddings.shape == (4, featurizer.num_features)
    assert embeddings.min() >= 0
    assert embeddings.max() <= 1
    assert scores["loud"][0] - scores["loud"][1] > 0.1
    assert scores["high"][2] - scores["high"][0] > 0.3
    assert scores["noisy"][3] - scores["noisy"][0] > 0.3
    for one, other in (("soft", "loud"), ("low", "high"), ("tonal", "noisy")):
        assert scores[one] + scores[other] == pytest.approx(1)


@pytest.mark.parametrize("data", [b"", b"RIFF", sound([0.1], width=1), sound([])])
def test_the_example_says_what_it_cannot_read(monkeypatch, data):
    """Broken, empty and other sounds are faults of their rows."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    with pytest.raises(UnreadableRow):
        FeaturizerSpec(use="wav_signal:WavSignal").make().prepare(data)
