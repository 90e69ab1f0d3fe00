"""A featurizer is found by its import path and checked at the door; the documented example is one."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from operators.errors import InputError
from operators.featurizer import FeaturizerSpec, checked
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
    assert checked(good, rows=2, num_features=3, use="x").dtype == np.float32
    for bad in (np.ones((2, 7, 3)), np.ones((2, 4)), np.ones((1, 3)), np.full((2, 3), np.nan)):
        with pytest.raises(InputError, match="expected finite numbers of shape"):
            checked(bad, rows=2, num_features=3, use="x")


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
    """A high tone is brighter than a low one, and a loud one louder than a soft one."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    featurizer = FeaturizerSpec(use="wav_signal:WavSignal").make()
    time = np.arange(4000) / 8000
    tones = [loud * np.sin(2 * np.pi * pitch * time) for loud, pitch in ((0.9, 200), (0.05, 200), (0.9, 3000))]
    embeddings = featurizer.embed([featurizer.prepare(sound(tone)) for tone in tones])
    loudness, brightness = featurizer.scores(embeddings, ["loudness", "brightness"]).T
    assert embeddings.shape == (3, featurizer.num_features)
    assert embeddings.min() >= 0
    assert embeddings.max() <= 1
    assert loudness[0] - loudness[1] > 0.1
    assert brightness[2] - brightness[0] > 0.3


@pytest.mark.parametrize("data", [b"", b"RIFF", sound([0.1], width=1), sound([])])
def test_the_example_says_what_it_cannot_read(monkeypatch, data):
    """Broken, empty and other sounds are faults of their rows."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    with pytest.raises(UnreadableRow):
        FeaturizerSpec(use="wav_signal:WavSignal").make().prepare(data)
