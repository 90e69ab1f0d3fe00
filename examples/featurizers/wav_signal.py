"""A featurizer for sound: three numbers of a WAV file's signal, each of them scored by two opposite words.

The worked example of docs/featurizers.md; examples/sounds is a task for it. Nothing here is learned and nothing is
downloaded.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from operators.images import UnreadableRow

_WORDS = {"soft": (0, 0), "loud": (0, 1), "low": (1, 0), "high": (1, 1), "tonal": (2, 0), "noisy": (2, 1)}
"""{description: which number, and which of its ends}."""


class WavSignal:
    """Loudness, pitch and noisiness of a mono or stereo WAV file of 16 bits.

    Loudness is the mean square in decibels, pitch the mean frequency of the spectrum as a share of the highest,
    noisiness the flatness of the spectrum; each is brought to 0..1.
    """

    row = "recording"
    scale = "A score lies between 0 and 1; those of opposites (soft and loud, low and high, tonal and noisy) sum to 1."
    texts = tuple(_WORDS)
    num_features = 3

    def prepare(self, data: bytes) -> npt.NDArray[np.float32]:
        """Read the samples; (n,) in -1..1."""
        try:
            with wave.open(io.BytesIO(data)) as file:
                if file.getsampwidth() != 2:
                    raise UnreadableRow(f"{8 * file.getsampwidth()} bits a sample; expected 16")
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
                samples = samples.reshape(-1, file.getnchannels()).mean(axis=1)
        except (wave.Error, EOFError, ValueError) as error:
            raise UnreadableRow(f"no WAV file: {str(error) or 'it ends early'}") from error
        if not len(samples):
            raise UnreadableRow("the recording is empty")
        return samples.astype(np.float32) / 32768

    def embed(self, rows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Return (n, 3) numbers in 0..1."""
        return np.stack([self._numbers(samples) for samples in rows])

    def scores(self, embeddings: npt.NDArray[np.float32], texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return how close the numbers are to the ends that the descriptions name; (n, t) in 0..1."""
        places, ends = zip(*(_WORDS[text] for text in texts), strict=True)
        return np.abs(np.array(ends, np.float32) - 1 + embeddings[:, places])

    def _numbers(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        decibels = 10 * np.log10(np.mean(samples**2) + 1e-9)
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples) + 2)[1:-1])) ** 2 + 1e-12
        pitch = float(power @ np.linspace(0, 1, len(power)) / power.sum())
        flatness = np.exp(np.mean(np.log(power))) / np.mean(power)
        return np.array([np.clip(1 + decibels / 90, 0, 1), pitch, flatness], np.float32)
