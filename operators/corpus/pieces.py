"""A piece of a file: the words in which a plan tells a worker what to read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Neighbouring rows of one file.

    Attributes:
        path: of the file, a path or a URL.
        name: of the file within the corpus; ids are made from it.
        format: "parquet", "csv", "tsv", "jsonl", or "image" for a file that is one row.
        size: of the file when it was planned, in bytes.
        stamp: what else changes when the file does: time of modification, etag or digest.
        first_row: number of the first row within the file, from 0.
        num_rows: at least 1.
        num_bytes: decompressed; for Parquet as the metadata states it.
        start: first byte, decompressed; 0 for Parquet.
        stop: byte after the last, decompressed; 0 for Parquet.
        header: (columns of the file,) of a file that states them once, at its top; empty otherwise.
    """

    path: str
    name: str
    format: str
    size: int
    stamp: str
    first_row: int
    num_rows: int
    num_bytes: int
    start: int = 0
    stop: int = 0
    header: tuple[str, ...] = ()
