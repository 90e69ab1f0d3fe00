"""Files of every format from one list of rows."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.opening import close_last
from operators.corpus.plan import Shard, plan_shards
from operators.corpus.read import read_shard

Row = tuple[str, str | None]


def write_rows(path: Path, rows: Sequence[Row], *, row_group_size: int = 7) -> Path:
    """Write (uid, body) rows in the format that the name of the file says."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "parquet":
        table = pa.table({"uid": [uid for uid, _ in rows], "body": pa.array([b for _, b in rows], pa.string())})
        pq.write_table(table, path, row_group_size=row_group_size)
        return path
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        if kind in ("csv", "tsv"):
            writer = csv.writer(file, delimiter="," if kind == "csv" else "\t")
            writer.writerow(["uid", "body"])
            writer.writerows(rows)
        else:
            for uid, body in rows:
                file.write(json.dumps({"uid": uid, "body": body}) + "\n")
    return path


def plan(
    *sources: Path | str, max_rows: int = 5, max_bytes: int = 1 << 20, columns: Sequence[str] = ("uid", "body")
) -> list[Shard]:
    """Plan with small bounds."""
    return plan_shards([str(s) for s in sources], max_rows=max_rows, max_bytes=max_bytes, columns=columns)


def rows_of(shards: Sequence[Shard]) -> list[tuple[object, str | None]]:
    """Read all shards, in order."""
    tables = [read_shard(shard, text="body", id="uid") for shard in shards]
    return [(row["id"], row["text"]) for table in tables for row in table.to_pylist()]


@pytest.fixture
def write() -> Callable[..., Path]:
    """`write_rows`, for tests that cannot import this file."""
    return write_rows


@pytest.fixture(name="plan")
def _plan() -> Callable[..., list[Shard]]:
    return plan


@pytest.fixture(name="rows_of")
def _rows_of() -> Callable[..., list[tuple[object, str | None]]]:
    return rows_of


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Leave no file open behind a test."""
    yield
    close_last()
