"""Images for people to look at: by class the most certain, the most contested and those without votes; the faults.

They are looked for in a few shards spread over the corpus, so that a million images cost what a thousand do. An image
without votes has no label, so it stands with the class that the distilled model predicts. Labels and names are read
here, no image is opened and no gold is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.reporting.images import ImageFault, ImageFigures
from engine.reporting.parts import Sample
from engine.stages.thumbnails import ImageSource, Place
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.label import labels_path
from operators.predict import predictions_path
from operators.schema import ABSTAIN
from operators.storage import Folder, read_table

_SHARDS = 16
"""Shards of images that are looked through, of 64 MB each."""

_EACH = 6
_BY_CLASS = 48
"""Images of each kind at most, shared out over the classes."""

_FAULTS = 20

_Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """What to show.

    Attributes:
        figures: for the report.
        places: {id: where the image stands}.
    """

    figures: ImageFigures
    places: dict[str, Place]


@dataclass(slots=True)
class _Kind:
    """Candidates of one kind, with what they are sorted by."""

    most: int
    found: list[tuple[float, int, Sample]] = field(default_factory=list)

    def take(self) -> tuple[Sample, ...]:
        return tuple(sample for _, _, sample in sorted(self.found, key=lambda entry: entry[:2])[: self.most])


def pick_images(
    shards: Sequence[Shard],
    source: ImageSource,
    *,
    folder: Folder,
    labels: str,
    predictions: str,
    class_names: Sequence[str],
    num_faults: int,
) -> Gallery:
    """Pick images of each kind.

    Args:
        shards: of the scored rows.
        source: of the images behind them.
        folder: of the run's shards.
        labels: digest in the names of the label files.
        predictions: digest in the names of the distilled model's predictions.
        class_names: (k,) in the order of the indices.
        num_faults: images without scores.
    """
    each = max(1, min(_EACH, _BY_CLASS // len(class_names)))
    certain = [_Kind(each) for _ in class_names]
    contested = [_Kind(each) for _ in class_names]
    uncovered = [_Kind(each) for _ in class_names]
    ties, overruled = _Kind(_EACH), _Kind(_EACH)
    places: dict[str, Place] = {}
    for number, (shard, part) in enumerate(_spread(shards)):
        start = sum(piece.num_rows for piece in shard.pieces[:part])
        piece = shard.pieces[part]
        columns = ["id", "label", "confidence", "reason", "majority_label"]
        said = read_table(labels_path(folder, shard.key, labels), columns).slice(start, piece.num_rows)
        rows = read_shard(Shard.of([piece], split=shard.split), text="image", id="id", extra=["fault"])
        guess = read_table(predictions_path(folder, shard.key, predictions), ["label"]).column("label").to_numpy()
        guess = guess[start : start + piece.num_rows]
        label, plain = (said.column(name).to_numpy() for name in ("label", "majority_label"))
        confidence = said.column("confidence").to_numpy()
        reasons = said.column("reason").to_numpy(zero_copy_only=False)
        scored = rows.column("fault").is_null().to_numpy()
        voted = np.isin(reasons, ["labeled", "tie"])
        wanted: list[tuple[_Kind, _Rows, npt.NDArray[np.float32]]] = [
            (ties, voted & (label == ABSTAIN), confidence),
            (overruled, voted & (label != plain), -confidence),
        ]
        for y in range(len(class_names)):
            wanted += [
                (certain[y], voted & (label == y), -confidence),
                (contested[y], voted & (label == y), confidence),
                (uncovered[y], scored & (reasons == "uncovered") & (guess == y), 0 * confidence),
            ]
        for kind, chosen, key in wanted:
            for row in _first(chosen, key, kind.most):
                sample = _sample(said, rows, row, class_names)
                kind.found.append((float(key[row]), number, sample))
                places[str(sample.id)] = source.place(piece.path, piece.first_row + row)
    figures = ImageFigures(
        num_faults=num_faults,
        faults=_faults(source, places),
        most_certain=_by_class(class_names, certain),
        most_contested=_by_class(class_names, contested),
        ties=ties.take(),
        overruled=overruled.take(),
        uncovered=_by_class(class_names, uncovered),
    )
    return Gallery(figures=figures, places={name: places[name] for name in figures.in_turn()})


def _spread(shards: Sequence[Shard]) -> list[tuple[Shard, int]]:
    """Choose parts of the corpus, each the rows of one shard of images."""
    parts = [(shard, number) for shard in shards for number in range(len(shard.pieces))]
    return [parts[place] for place in sorted({i * (len(parts) - 1) // (_SHARDS - 1) for i in range(_SHARDS)})]


def _first(chosen: _Rows, key: npt.NDArray[np.float32], count: int) -> list[int]:
    rows = np.flatnonzero(chosen)
    first: list[int] = rows[np.argsort(key[rows], kind="stable")][:count].tolist()
    return first


def _sample(said: pa.Table, rows: pa.Table, row: int, class_names: Sequence[str]) -> Sample:
    label = said.column("label")[row].as_py()
    return Sample(
        id=said.column("id")[row].as_py(),
        text=rows.column("text")[row].as_py(),
        label=None if label == ABSTAIN else class_names[label],
        confidence=float(said.column("confidence")[row].as_py()),
    )


def _by_class(class_names: Sequence[str], kinds: Sequence[_Kind]) -> dict[str, tuple[Sample, ...]]:
    return {name: kind.take() for name, kind in zip(class_names, kinds, strict=True)}


def _faults(source: ImageSource, places: dict[str, Place]) -> tuple[ImageFault, ...]:
    """Name the first images without scores, in the order of the corpus."""
    found: list[ImageFault] = []
    for path in source.faulty:
        rows = read_table(path, ["id", "image", "fault"])
        why = rows.column("fault")
        for row in np.flatnonzero(why.is_valid().to_numpy()).tolist()[: _FAULTS - len(found)]:
            fault = ImageFault(
                id=rows.column("id")[row].as_py(), text=rows.column("image")[row].as_py(), why=why[row].as_py()
            )
            places[str(fault.id)] = source.place(str(path), row)
            found.append(fault)
    return tuple(found)
