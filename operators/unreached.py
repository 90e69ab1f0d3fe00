"""Files of shards some of whose rows could not be reached: which ones, and what a later run makes of them.

The rows are noted in the footer of the file, so that a run that was killed leaves word of them too. A later run tries
them alone, puts what it finds in their places, and keeps the file as it is where it finds nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa

from operators.commit import commit_table
from operators.storage import Folder, map_files, names_in, read_schema, read_table

_NOTE = b"unreached"


def noted(table: pa.Table, rows: Iterable[int]) -> pa.Table:
    """Note in a table the rows that could not be reached, counted from 0."""
    return table.replace_schema_metadata({_NOTE: json.dumps(list(rows))})


def unreached_rows(schema: pa.Schema) -> tuple[int, ...]:
    """Return the rows that are noted with a table."""
    return tuple(json.loads((schema.metadata or {}).get(_NOTE, b"[]")))


def unreached_in(path: Folder) -> tuple[int, ...]:
    """Return the rows that are noted in a file; only its end is read.

    Raises:
        FileNotFoundError: there is none.
    """
    return unreached_rows(read_schema(path))


def unreached_among(paths: Sequence[Folder]) -> list[tuple[int, ...]]:
    """Return the rows that are noted in each of some files of one folder, none for a file that is not there."""
    present = names_in(paths[0].parent) if paths else frozenset()
    there = [path for path in paths if path.name in present]
    found = dict(zip((path.name for path in there), map_files(unreached_in, there), strict=True))
    return [found.get(path.name, ()) for path in paths]


def write_reached(path: Folder, make: Callable[[Sequence[int] | None], pa.Table]) -> pa.Table:
    """Write the file of a shard, or mend the one that is there.

    Args:
        path: of the file.
        make: makes the table of the shard, or of some of its rows in the order given, with a note of those that could
            not be reached.

    Returns:
        the table that the file holds now.

    Raises:
        InputError: as `operators.commit.commit`.
    """
    if not path.exists():
        table = make(None)
        commit_table(path, table)
        return table
    before = read_table(path)
    rows = unreached_rows(before.schema)
    if not rows:
        return before
    found = make(rows)
    still = [rows[place] for place in unreached_rows(found.schema)]
    if len(still) == len(rows):
        return before
    order = np.arange(before.num_rows)
    order[list(rows)] = before.num_rows + np.arange(len(rows))
    table = noted(pa.concat_tables([before, found.cast(before.schema)]).take(pa.array(order)), still)
    commit_table(path, table, replace=True)
    return table


def reached_key(shard_key: str, rows: Sequence[int]) -> str:
    """Return what goes by a shard as far as it was reached: its own key, or another for each choice of missing rows.

    Example:
        >>> reached_key("00ff00ff00ff00ff", [])
        '00ff00ff00ff00ff'
    """
    if not rows:
        return shard_key
    return hashlib.sha256(json.dumps([shard_key, *rows]).encode()).hexdigest()[:16]


def reached_keys(shard_keys: Sequence[str], paths: Sequence[Folder]) -> list[str]:
    """Return the `reached_key` of each shard by its file, which need not be there yet."""
    return [reached_key(key, rows) for key, rows in zip(shard_keys, unreached_among(paths), strict=True)]
