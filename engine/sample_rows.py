"""The first rows of a data file, for guesses about its columns: little is read, however big the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from engine.errors import ConfigError
from operators.corpus import delimited, parquet
from operators.corpus.files import SourceFile, find_files
from operators.corpus.opening import close_last, lines_of, opened
from operators.errors import InputError

NUM_ROWS = 1000

_MAX_BYTES = 64 << 20
"""Of text to read at most; so that rows of a megabyte do not fill the memory."""


def first_rows(data: Path, *, num_rows: int = NUM_ROWS) -> dict[str, list[Any]]:
    """Read the first rows of a file, or of the first file in a folder.

    Returns:
        values by column, in the order of the columns; all of one length, at least 1. CSV and TSV give strings.

    Raises:
        ConfigError: there is no file or no row, or it cannot be read.
    """
    if not data.exists():
        raise ConfigError(f"{data}: no such file; expected a Parquet, CSV, TSV or JSON lines file")
    try:
        file = find_files([str(data)], base="")[0]
        columns = _read(file, num_rows)
    except InputError as error:
        raise ConfigError(str(error)) from error
    finally:
        close_last()
    if not any(columns.values()):
        raise ConfigError(f"{file.path}: there is no row in it; a task needs rows to label")
    return columns


def _read(file: SourceFile, num_rows: int) -> dict[str, list[Any]]:
    if file.format == "jsonl":
        return _read_json_lines(file, num_rows)
    module = parquet if file.format == "parquet" else delimited
    piece = next(iter(module.cut(file, max_rows=num_rows, max_bytes=_MAX_BYTES, columns=())), None)
    if piece is None:
        return {}
    names = pq.read_schema(file.path).names if file.format == "parquet" else list(piece.header)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{file.path}: more than one column is named {twice[0]!r}; rename all but one")
    table = module.read(piece, columns=names)
    return {name: table.column(name).to_pylist() for name in names}


def _read_json_lines(file: SourceFile, num_rows: int) -> dict[str, list[Any]]:
    rows: list[dict[str, Any]] = []
    with opened(file.path, stamp=file.stamp) as source:
        source.seek(0)
        for line in lines_of(source, where=lambda: f"{file.path}, row {len(rows)}"):
            if len(rows) == num_rows:
                break
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except ValueError as error:
                raise ConfigError(
                    f"{file.path}, row {len(rows)}: not JSON: {error}; expected one object a line"
                ) from error
            if not isinstance(row, dict):
                raise ConfigError(f"{file.path}, row {len(rows)}: a JSON {type(row).__name__}, expected an object")
            rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
