"""A featurizer for sound: a few numbers of a WAV file's signal, each of them a score by its name.

The worked example of docs/featurizers.md. Nothing here is learned and nothing is downloaded.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from operators.images import UnreadableRow

NAMES = ("loudness", "crossings", "brightness")
"""Of the numbers: mean square in decibels, share of samples at which the sign changes, mean frequency of the spectrum
as a share of the highest; each brought to 0..1."""


class WavSignal:
    """Loudness, zero crossings and brightness of a mono or stereo WAV file of 16 bits."""

    num_features = len(NAMES)

    def prepare(self, data: bytes) -> npt.NDArray[np.float32]:
        """Read the samples; (n,) in -1..1."""
        try:
            with wave.open(io.BytesIO(data)) as file:
                if file.getsampwidth() != 2:
                    raise UnreadableRow(f"{8 * file.getsampwidth()} bits a sample; expected 16")
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
                samples = samples.reshape(-1, file.getnchannels()).mean(axis=1)
        except (wave.Error, EOFError, ValueError) as error:
            raise UnreadableRow(f"no WAV file: {error}") from error
        if not len(samples):
            raise UnreadableRow("the recording is empty")
        return samples.astype(np.float32) / 32768

    def embed(self, rows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Return (n, 3) numbers in 0..1."""
        return np.stack([self._numbers(samples) for samples in rows])

    def scores(self, embeddings: npt.NDArray[np.float32], texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the numbers that the descriptions name."""
        return embeddings[:, [NAMES.index(text) for text in texts]]

    def _numbers(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        decibels = 10 * np.log10(np.mean(samples**2) + 1e-9)
        crossings = np.mean(np.signbit(samples[1:]) != np.signbit(samples[:-1])) if len(samples) > 1 else 0.0
        spectrum = np.abs(np.fft.rfft(samples))
        places = np.linspace(0, 1, len(spectrum))
        brightness = float((spectrum * places).sum() / max(float(spectrum.sum()), 1e-9))
        return np.array([np.clip(1 + decibels / 90, 0, 1), crossings, brightness], np.float32)
