"""Data that lives in memory, written down once: a pandas frame, a Hugging Face dataset, a Ray dataset.

The file is named by its content. The same frame in the next run is then the same file, with the same time of
modification, and what was computed from it stands.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from operators.commit import commit, no_room_named
from operators.errors import InputError
from operators.storage import Folder

_ROWS = 16_384
"""Of a row group; small enough to be a shard, so that no row group is decoded twice."""

_BYTES = 32 << 20
"""Likewise, of bytes in memory; half of a shard of images."""

_HEAVY_ROWS = 32
"""Taken at a time where a column holds bytes, such as encoded images, of which each may have megabytes."""


def to_parquet(data: Any, folder: Folder) -> list[str]:
    """Write data to a folder, unless the same data is there.

    A Ray dataset comes in the order in which it gives its rows; one without a fixed order needs an id column.

    Args:
        data: a pandas.DataFrame (its index is dropped), a pyarrow.Table, a datasets.Dataset or a ray.data.Dataset.
        folder: where the workers can read it.

    Returns:
        the paths or URLs of the files.

    Raises:
        InputError: `data` is something else, or is a value of a type that Parquet does not have.
    """
    with no_room_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # Beside the file where that is a disk, as there may be much of it.
        beside = folder if isinstance(folder, Path) else None
        for stale in () if beside is None else beside.glob("data.tmp-*"):
            shutil.rmtree(stale)
        with tempfile.TemporaryDirectory(prefix="data.tmp-", dir=beside) as scratch:
            attempt = Path(scratch) / "data"
            _write(data, attempt)
            with attempt.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
            path = folder / f"{digest}.parquet"
            commit(path, lambda place: shutil.move(attempt, place))
    return [str(path)]


def _write(data: Any, path: Path) -> None:
    writer: pq.ParquetWriter | None = None
    try:
        for group in _groups(_tables(data)):
            if writer is None:
                writer = pq.ParquetWriter(path, group.schema, compression="zstd")
            writer.write_table(group)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError) as error:
        raise InputError(
            f"the data cannot be written as Parquet: {error}; give each column values of one type"
        ) from error
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise InputError("the data has no rows")


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cut and join tables, of the types of the first, to row groups of bounded rows and bytes."""
    schema: pa.Schema | None = None
    held: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        schema = table.schema if schema is None else schema
        table = table.cast(schema)
        step = _rows_at_a_time(schema)
        for start in range(0, table.num_rows, step):
            part = table.slice(start, step)
            if held and (rows + part.num_rows > _ROWS or size + part.nbytes > _BYTES):
                yield pa.concat_tables(held)
                held, rows, size = [], 0, 0
            held.append(part)
            rows, size = rows + part.num_rows, size + part.nbytes
    if held:
        yield pa.concat_tables(held)


def _rows_at_a_time(schema: pa.Schema) -> int:
    return _HEAVY_ROWS if any(_holds_bytes(kind) for kind in schema.types) else _ROWS


def _holds_bytes(kind: Any) -> bool:
    """Whether a column holds bytes, or is of a type that is none of Arrow's, which may."""
    if not isinstance(kind, pa.DataType):
        return True
    if pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind):
        return True
    return any(_holds_bytes(kind.field(i).type) for i in range(kind.num_fields))


def _tables(data: Any) -> Iterator[pa.Table]:
    # By name, so that asking costs no import of a library that the caller does not use.
    kind = f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}"
    match kind:
        case "pandas.DataFrame":
            yield pa.Table.from_pandas(data, preserve_index=False)
        case "pyarrow.Table":
            yield data
        case "datasets.Dataset":
            rows = data.with_format("arrow")
            yield from rows.iter(batch_size=_rows_at_a_time(rows[:1].schema))
        case "ray.Dataset" | "ray.MaterializedDataset":
            yield from data.iter_batches(batch_size=_rows_at_a_time(data.schema()), batch_format="pyarrow")
        case _:
            raise InputError(
                f"{kind} is not data that can be read; expected a pandas.DataFrame, a pyarrow.Table, "
                "a datasets.Dataset (one split of it) or a ray.data.Dataset"
            )
