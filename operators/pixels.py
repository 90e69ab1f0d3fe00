"""Programs over pixels: what programs make of an image when nothing but its colours is given to them.

The baseline that programs over scores are held against. The images are read again for it, the test rows' alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.commit import commit_table
from operators.corpus.plan import Shard
from operators.embed import Row, rows_of
from operators.errors import InputError
from operators.fetch import UnreachableRow, in_rounds, load
from operators.images import UnreadableRow, decode
from operators.sandbox.pool import Limits, Sandbox
from operators.schema import ABSTAIN
from operators.score import scored_path
from operators.storage import Folder, folder_of, read_schema, read_table

_CHUNK_PIXELS = 1 << 20
"""Given to the sandbox at a time, of 11 bytes each as JSON: 256 images of 64 pixels a side."""

_THREADS = 8
_NOTES = b"pixel_notes"


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelNotes:
    """What the sandbox said, by program; a monoid.

    Attributes:
        faults: cells without a usable vote.
        messages: of the first fault.
        quarantined: why a program was stopped.
        unreached: images that have scores and could not be reached this time.
    """

    faults: dict[str, int] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    unreached: int = 0

    def __add__(self, other: PixelNotes) -> PixelNotes:
        names = {*self.faults, *other.faults}
        return PixelNotes(
            faults={name: self.faults.get(name, 0) + other.faults.get(name, 0) for name in sorted(names)},
            messages=other.messages | self.messages,
            quarantined=other.quarantined | self.quarantined,
            unreached=self.unreached + other.unreached,
        )


class PixelShard:
    """Step: write `pixels/<shard>-<digest>.parquet`, in the order of the shard.

    A column int8 of votes for each program, by its name; rows of the train split and images that cannot be read have no
    vote. A file that is there is written anew.
    """

    def __init__(
        self,
        *,
        folder: str,
        column: str,
        id_column: str | None,
        scored: str,
        side: int,
        names: Sequence[str],
        sources: Sequence[str],
        num_classes: int,
        limits: Limits,
        digest: str,
    ) -> None:
        self._folder = folder_of(folder)
        self._column = column
        self._id = id_column
        self._scored = scored
        self._side = side
        self._names = tuple(names)
        self._digest = digest
        self._sandbox = Sandbox(sources, num_classes=num_classes, limits=limits)
        self._pool = ThreadPoolExecutor(_THREADS)

    def __call__(self, item: str) -> bytes:
        """Let the programs vote on the test images of shard `item`, a Shard as JSON; returns nothing.

        Raises:
            InputError: the shard cannot be read, or has changed since it was scored.
            SandboxError: the sandbox itself failed.
        """
        shard = Shard.from_json(item)
        scored = read_table(scored_path(self._folder, shard.key, self._scored), ["split", "fault"]).to_pylist()
        rows = list(rows_of(shard, column=self._column, id_column=self._id))
        if len(rows) != len(scored):
            raise InputError(f"shard {shard.key}: {len(scored)} rows were scored, {len(rows)} are there")
        # The pass that embedded the images has told of those with a fault.
        test = [place for place, row in enumerate(scored) if row["split"] == "test" and row["fault"] is None]
        votes = np.full((len(rows), len(self._names)), ABSTAIN, np.int8)
        notes = PixelNotes()
        chunk = max(1, _CHUNK_PIXELS // self._side**2)
        for start in range(0, len(test), chunk):
            places = test[start : start + chunk]
            found, said = self._voted([rows[place] for place in places], seed=(int(shard.key, 16) + start) % 2**32)
            votes[places] = found
            notes += said
        table = pa.table({name: pa.array(votes[:, j]) for j, name in enumerate(self._names)})
        table = table.replace_schema_metadata({_NOTES: json.dumps(asdict(notes))})
        commit_table(pixels_path(self._folder, shard.key, self._digest), table, replace=True)
        return b""

    def close(self) -> None:
        """End the sandbox and the threads."""
        self._sandbox.close()
        self._pool.shutdown()

    def _voted(self, rows: Sequence[Row], *, seed: int) -> tuple[npt.NDArray[np.int8], PixelNotes]:
        images: list[str | None] = [None] * len(rows)
        unreached = 0
        for place, image in in_rounds(self._in_order, rows):
            if isinstance(image, UnreachableRow):
                unreached += 1
            else:
                images[place] = image
        outcome = self._sandbox.run(images, seed=seed)
        cells = np.count_nonzero(outcome.faults, axis=0).tolist()
        named = zip(self._names, cells, outcome.messages, outcome.quarantined, strict=True)
        notes = PixelNotes(unreached=unreached)
        for name, faults, message, quarantined in named:
            notes += PixelNotes(
                faults={name: faults} if faults else {},
                messages={name: message} if message is not None else {},
                quarantined={name: quarantined} if quarantined is not None else {},
            )
        return outcome.votes, notes

    def _in_order(self, rows: Sequence[Row]) -> Iterator[str | UnreachableRow | None]:
        return self._pool.map(self._pixels, rows)

    def _pixels(self, row: Row) -> str | UnreachableRow | None:
        try:
            return as_pixels(load(row.data, row.path, beside=row.beside), side=self._side)
        except UnreachableRow as error:
            return error
        except UnreadableRow:
            # It could be read when it was embedded, and its file has changed since.
            return None


def as_pixels(data: bytes, *, side: int) -> str:
    """Give an image as programs get it, as JSON: rows from top to bottom of (red, green, blue) from left to right.

    Args:
        data: an encoded image.
        side: it is brought to so many pixels in height and width.

    Raises:
        UnreadableRow: it is none.
    """
    return json.dumps(np.asarray(decode(data).resize((side, side))).tolist(), separators=(",", ":"))


def read_notes(path: Folder) -> PixelNotes:
    """Return what the sandbox said of a shard."""
    return PixelNotes(**json.loads(read_schema(path).metadata[_NOTES]))


def pixels_path(folder: Folder, shard_key: str, digest: str) -> Folder:
    """Where the votes over pixels of a shard stand; `digest` covers the scored rows, the programs and the side."""
    return folder / "pixels" / f"{shard_key}-{digest}.parquet"
