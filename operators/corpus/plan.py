"""Cutting a corpus into shards, the same way on every machine.

A shard is bounded in rows and bytes: a big file gives many, a thousand small files give one. Text files are read
once for it, because where a record of a CSV file begins cannot be known without reading what stands before.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from operators.corpus import delimited, images, jsonl, parquet
from operators.corpus.files import SourceFile, common_folder, find_files
from operators.corpus.opening import close_last
from operators.corpus.pieces import Piece
from operators.errors import ChangedError, InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A part of the corpus that is read, computed and committed as one.

    Attributes:
        key: 16 hexadecimal digits over the pieces and the split; files of a run are named by it.
        pieces: in the order of the rows.
        num_rows: of all pieces.
        num_bytes: of all pieces, decompressed.
        split: "train", "test", or None where the corpus is not split by files.
    """

    key: str
    pieces: tuple[Piece, ...]
    num_rows: int
    num_bytes: int
    split: str | None

    @classmethod
    def of(cls, pieces: Sequence[Piece], *, split: str | None) -> Shard:
        """Make the shard of some pieces."""
        content = json.dumps([split, [asdict(piece) for piece in pieces]], sort_keys=True)
        return cls(
            key=hashlib.sha256(content.encode()).hexdigest()[:16],
            pieces=tuple(pieces),
            num_rows=sum(piece.num_rows for piece in pieces),
            num_bytes=sum(piece.num_bytes for piece in pieces),
            split=split,
        )

    def to_json(self) -> str:
        """Write as JSON."""
        return json.dumps(asdict(self))

    def place(self, row: int) -> str:
        """Name the file, and the row in it, where a row of the shard stands."""
        for piece in self.pieces:
            if row < piece.num_rows:
                return f"{piece.path}, row {piece.first_row + row}"
            row -= piece.num_rows
        raise IndexError(row)

    def files(self) -> str:
        """Name the files, or the first of them; there may be thousands."""
        paths = list(dict.fromkeys(piece.path for piece in self.pieces))
        more = f" and {len(paths) - 3} more files" if len(paths) > 3 else ""
        return ", ".join(paths[:3]) + more

    @classmethod
    def from_json(cls, text: str) -> Shard:
        """Read what `to_json` wrote."""
        content = json.loads(text)
        pieces = [{**p, "header": tuple(p["header"])} for p in content.pop("pieces")]
        return cls(**content, pieces=tuple(Piece(**p) for p in pieces))


def plan_shards(
    sources: Sequence[str],
    *,
    max_rows: int,
    max_bytes: int,
    columns: Sequence[str],
    sized: Sequence[str] | None = None,
    split: str | None = None,
    base: str | None = None,
    skipped: dict[str, str] | None = None,
    of_images: bool = False,
) -> list[Shard]:
    """Cut a corpus into shards, in the order of the sources, the files of each and the rows.

    Args:
        sources: files, folders, globs, URLs.
        max_rows: of a shard.
        max_bytes: of a shard, decompressed; one record alone may be larger. For Parquet the columns named count, as
            its metadata states them, which is less than the truth where a column repeats its values.
        columns: that every file must have.
        sized: of these, the columns whose bytes count in Parquet; all unless given. The cut and the keys depend on
            them, so name those alone whose change may cost a new computation.
        split: kept in the shards.
        base: folder from which rows without an id column name their file; `common_folder(sources)` unless given.
            Train and test files, planned apart, need a common one for their ids to differ.
        skipped: takes {path: why} of files that cannot be read, which are then left out; without it they are errors.
        of_images: the files are images, a row each, with the columns of `operators.corpus.images`.

    Raises:
        InputError: nothing is there, no rows are in it, a column is missing, or a file cannot be read.
        ChangedError: a file went away meanwhile; that is never skipped.
    """
    if max_rows < 1 or max_bytes < 1:
        raise ValueError(f"a shard needs room for a row, got max_rows={max_rows} and max_bytes={max_bytes}")
    start = time.perf_counter()
    base = common_folder(sources) if base is None else base
    files = find_files(sources, base=base, skipped=skipped, of_images=of_images)
    wanted = tuple(dict.fromkeys(columns))
    measured = wanted if sized is None else tuple(sized)
    cuts = (
        _read_or_skipped(
            file.path, _cut(file, max_rows=max_rows, max_bytes=max_bytes, columns=wanted, sized=measured), skipped
        )
        for file in files
    )
    pieces = (piece for cut in cuts for piece in cut)
    try:
        shards = [Shard.of(p, split=split) for p in _packed(pieces, max_rows=max_rows, max_bytes=max_bytes)]
    finally:
        close_last()
    if not shards:
        if skipped:
            raise InputError(
                f"none of {len(files) or len(skipped)} file(s) can be read; the first: {next(iter(skipped.values()))}"
            )
        raise InputError(f"no rows in {', '.join(sources)}: {len(files)} file(s), each without a row")
    rows = sum(shard.num_rows for shard in shards)
    logger.info(
        "planned %d rows of %d files as %d shards in %.1f s",
        rows,
        len(files),
        len(shards),
        time.perf_counter() - start,
    )
    return shards


def _read_or_skipped(path: str, cut: Iterator[Piece], skipped: dict[str, str] | None) -> Iterable[Piece]:
    """Cut a file; one that cannot be read to its end gives nothing where it may be skipped."""
    if skipped is None:
        return cut
    try:
        return list(cut)
    except ChangedError:
        raise
    except InputError as error:
        skipped[path] = str(error)
        return []


def _cut(
    file: SourceFile, *, max_rows: int, max_bytes: int, columns: Sequence[str], sized: Sequence[str]
) -> Iterator[Piece]:
    match file.format:
        case "parquet":
            return parquet.cut(file, max_rows=max_rows, max_bytes=max_bytes, columns=columns, sized=sized)
        case images.FORMAT:
            return images.cut(file.path, file.name, size=file.size, stamp=file.stamp, columns=columns)
        case "jsonl":
            return jsonl.cut(file, max_rows=max_rows, max_bytes=max_bytes, columns=columns)
        case _:
            return delimited.cut(file, max_rows=max_rows, max_bytes=max_bytes, columns=columns)


def _packed(pieces: Iterable[Piece], *, max_rows: int, max_bytes: int) -> Iterator[list[Piece]]:
    """Put neighbouring pieces together while they fit."""
    shard: list[Piece] = []
    rows = size = 0
    for piece in pieces:
        if shard and (rows + piece.num_rows > max_rows or size + piece.num_bytes > max_bytes):
            yield shard
            shard, rows, size = [], 0, 0
        shard.append(piece)
        rows += piece.num_rows
        size += piece.num_bytes
    if shard:
        yield shard
