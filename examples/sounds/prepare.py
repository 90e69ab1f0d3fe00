"""Make the recordings of this example: hums, whistles and hisses as WAV files, and a table of names and kinds."""

from __future__ import annotations

import csv
import sys
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

KINDS = ("hum", "whistle", "hiss")
RATE = 8000
"""Samples a second."""


def prepare(folder: Path, *, each: int = 60) -> int:
    """Write `each` recordings of every kind and sounds.csv into `folder`; returns the number of recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = [(f"{number:03d}.wav", KINDS[number % len(KINDS)]) for number in range(each * len(KINDS))]
    for name, kind in rows:
        samples = _recording(kind, rng)
        with wave.open(str(folder / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    with (folder / "sounds.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([("file", "kind"), *rows])
    return len(rows)


def _recording(kind: str, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Half a second of a kind, as loud as it comes, with noise behind it."""
    time = np.arange(RATE // 2) / RATE
    if kind == "hum":
        pitch = rng.uniform(80, 300)
        sound = sum(np.sin(2 * np.pi * pitch * times * time) / times for times in (1, 2, 3))
    elif kind == "whistle":
        pitch = rng.uniform(1200, 3200)
        sound = np.sin(2 * np.pi * pitch * time + 3 * np.sin(2 * np.pi * rng.uniform(3, 8) * time))
    else:
        sound = rng.normal(0, 1, len(time))
    noise = rng.normal(0, 1, len(time))
    mixed = sound / np.std(sound) + rng.uniform(0, 0.7) * noise
    return np.asarray(rng.uniform(0.02, 0.25) * mixed)


if __name__ == "__main__":
    made = Path(__file__).parent / "data"
    sys.stdout.write(f"{prepare(made)} recordings in {made}\n")
