"""Images as rows: a folder of image files, or a table with a column of paths or of encoded bytes.

Planning and indexing never open an image: a file is a row by its name, and the pixels are read where they are embedded.
A folder's rows have two columns: `image`, the file's name within the corpus, and `label`, the folder it stands in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

from operators.corpus.columns import check_present
from operators.corpus.pieces import Piece
from operators.errors import InputError

FORMAT = "image"
"""Of a piece that is one image file."""

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"))

FOLDER_COLUMNS = ("image", "label")
"""Of the rows of a folder of images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageColumn:
    """A column of images as the text of rows: each image goes by its name.

    Attributes:
        column: with paths or URLs, encoded bytes, or {bytes, path} as Hugging Face writes images.
    """

    column: str


def cut(path: str, name: str, *, size: int, stamp: str, columns: Sequence[str]) -> Iterator[Piece]:
    """Make the piece that an image file is; it is not opened.

    Raises:
        InputError: a column is wanted that a folder of images does not have.
    """
    check_present(columns, FOLDER_COLUMNS, path=path)
    yield Piece(
        path=path, name=name, format=FORMAT, size=size, stamp=stamp, first_row=0, num_rows=1, num_bytes=max(1, size)
    )


def read(piece: Piece, *, columns: Sequence[str]) -> pa.Table:
    """Give the row of an image file."""
    row = {"image": piece.name, "label": PurePosixPath(piece.path).parent.name}
    return pa.table({name: pa.array([row[name]], pa.string()) for name in columns})


def as_names(column: pa.ChunkedArray, piece: Piece, *, column_name: str) -> pa.ChunkedArray:
    """Name the images of a column: by their paths, or by file and row where they have none; nulls are kept.

    Raises:
        InputError: the column holds neither paths nor images.
    """
    places = range(piece.first_row, piece.first_row + piece.num_rows)
    paths = [path for _, path in references(column, piece, column_name=column_name)]
    null = column.is_null().to_pylist()
    named = (path or f"{piece.name}:{place}" for path, place in zip(paths, places, strict=True))
    names = [None if gone else name for gone, name in zip(null, named, strict=True)]
    return pa.chunked_array([pa.array(names, pa.large_string())])


def references(column: pa.ChunkedArray, piece: Piece, *, column_name: str) -> list[tuple[bytes | None, str | None]]:
    """Return what a column says of each image: its encoded bytes, or else the path that leads to them.

    Raises:
        InputError: the column holds neither paths nor images.
    """
    kind = column.type.value_type if pt.is_dictionary(column.type) else column.type
    values: list[Any] = column.to_pylist()
    if pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind) or pt.is_null(kind):
        return [(None, value) for value in values]
    if pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind):
        return [(value, None) for value in values]
    if pt.is_struct(kind) and {"bytes", "path"} <= {kind.field(i).name for i in range(kind.num_fields)}:
        pairs = (value or {} for value in values)
        return [(pair.get("bytes"), pair.get("path")) for pair in pairs]
    raise InputError(
        f"{piece.path}: the image column {column_name!r} holds {kind}; expected paths or URLs, the bytes of encoded "
        "images, or structs of bytes and path; name another column in `columns.image`"
    )
