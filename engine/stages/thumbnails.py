"""Small copies of images for the report's page, read from where the images are when the page is written.

A page opens offline and is sent around, so the copies stand in it, few and small: what they may take is bounded, and an
image that is not there any more is named with the reason. Of an image with a fault whatever opens is shown.
"""

from __future__ import annotations

import io
import warnings
from base64 import b64encode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from engine.reporting.images import Thumbnail
from operators.corpus.images import FORMAT, ImageColumn, references
from operators.corpus.pieces import Piece
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.errors import InputError
from operators.fetch import load
from operators.images import MAX_PIXELS, RASTER, UnreadableRow, decode
from operators.storage import Folder

SIDE = 96
"""Pixels of the longer side at most."""

MOST = 120
MOST_BYTES = 1 << 20
"""Of all copies as data URLs; a copy takes three kilobytes."""

_QUALITY = 75
_THREADS = 4
"""Where URLs are fetched from; each may hold one decoded image."""

_LEFT_OUT = "left out to keep this page small"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an image stands: `row` of a shard of images, from 0."""

    shard: str
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """The images behind scored rows.

    Attributes:
        shards: of images, by key.
        column: of the images, in a table.
        id_column: of the rows.
        faulty: scored files with the first images that have no scores.
    """

    shards: Mapping[str, Shard]
    column: str
    id_column: str | None = None
    faulty: tuple[Folder, ...] = ()

    def place(self, scored: str, row: int) -> Place:
        """Say where the image of a scored row stands.

        Args:
            scored: path of its file, named as `operators.score.scored_path` names it.
            row: of the file, which is that of the shard.
        """
        return Place(shard=PurePosixPath(scored).name.partition("-")[0], row=row)


_Where = tuple[bytes | None, str | None, str]
"""Bytes where the corpus holds them, else a path, and the file that says so."""


def thumbnails(source: ImageSource, ids: Sequence[str], places: Mapping[str, Place]) -> dict[str, Thumbnail]:
    """Make a small copy of each image, the first ones where they would become too many.

    Args:
        source: of the images.
        ids: in the order in which they matter.
        places: by id.
    """
    chosen = ids[:MOST]
    where = _where(source, {name: places[name] for name in chosen})
    with ThreadPoolExecutor(_THREADS) as pool:
        made = dict(zip(chosen, pool.map(lambda name: _made(where[name]), chosen), strict=True))
    room = MOST_BYTES
    copies = {}
    for name in ids:
        copy, broken = made.get(name, (Thumbnail(why=_LEFT_OUT), None))
        if broken is not None:
            # In turn: that broken images are opened is a setting of the whole process.
            copy = _of_what_opens(broken, copy)
        room -= len(copy.url or "")
        copies[name] = copy if copy.url is None or room >= 0 else Thumbnail(why=_LEFT_OUT)
    return copies


def _where(source: ImageSource, places: Mapping[str, Place]) -> dict[str, _Where | str]:
    """Find the images, each piece of a table read once; a reason in the place of what cannot be found."""
    by_piece: defaultdict[Piece, list[tuple[str, int]]] = defaultdict(list)
    for name, place in places.items():
        row = place.row
        for piece in source.shards[place.shard].pieces:
            if row < piece.num_rows:
                by_piece[piece].append((name, row))
                break
            row -= piece.num_rows
    found: dict[str, _Where | str] = {}
    for piece, wanted in by_piece.items():
        try:
            rows = _references(piece, source.column)
        except InputError as error:
            found |= dict.fromkeys((name for name, _ in wanted), _short(error))
            continue
        found |= {name: (*rows[row], piece.path) for name, row in wanted}
    return found


def _references(piece: Piece, column: str) -> Sequence[tuple[bytes | None, str | None]]:
    if piece.format == FORMAT:
        return [(None, piece.path)]
    table = read_shard(Shard.of([piece], split=None), text=ImageColumn(column=column), id=None, extra=[column])
    return references(table.column(column), piece, column_name=column)


def _made(where: _Where | str) -> tuple[Thumbnail, bytes | None]:
    """Make a copy; of an image that cannot be decoded the bytes are given besides."""
    if isinstance(where, str):
        return Thumbnail(why=where), None
    path, beside = where[1:]
    try:
        data = load(where[0], path, beside=beside)
    except (UnreadableRow, InputError) as error:
        return Thumbnail(why=_short(error)), None
    try:
        return Thumbnail(url=_url(decode(data))), None
    except UnreadableRow as error:
        return Thumbnail(why=_short(error)), data
    except ImportError:
        return Thumbnail(why="Pillow is not installed where the report was written"), None


def _of_what_opens(data: bytes, failed: Thumbnail) -> Thumbnail:
    """Make a copy of as much of a broken image as can be decoded."""
    try:
        return Thumbnail(url=_url(_partly(data)))
    except UnreadableRow:
        return failed


def _partly(data: bytes) -> Any:
    from PIL import Image, ImageFile

    before = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=RASTER) as image:
                # Of a large photograph an eighth is decoded.
                image.draft("RGB", (SIDE, SIDE))
                if image.width * image.height > MAX_PIXELS:
                    raise UnreadableRow("too large to be opened")
                image.load()
                return _from_floats(image) if image.mode == "F" else image.convert("RGB")
    except UnreadableRow:
        raise
    except Exception as error:
        # As in `decode`: decoders of broken files raise what they will.
        raise UnreadableRow("nothing of it can be decoded") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _from_floats(image: Any) -> Any:
    import numpy as np
    from PIL import Image

    pixels = np.nan_to_num(np.asarray(image, np.float64))
    low, high = pixels.min(), pixels.max()
    return Image.fromarray((255 * (pixels - low) / max(high - low, 1e-300)).astype(np.uint8)).convert("RGB")


def _url(image: Any) -> str:
    image.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{b64encode(out.getvalue()).decode()}"


def _short(error: Exception) -> str:
    return str(error)[:160]
