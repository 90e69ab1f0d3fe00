"""A file is whole or not there."""

from __future__ import annotations

import errno

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.commit import commit, commit_table
from operators.errors import InputError


def test_a_table_is_committed(tmp_path):
    """The folder is made, the table is there under its name and nothing else is."""
    table = pa.table({"a": [1, 2]})
    commit_table(tmp_path / "x" / "t.parquet", table)
    assert pq.read_table(tmp_path / "x" / "t.parquet") == table
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["t.parquet"]


def test_what_is_there_is_left_alone(tmp_path):
    """A committed file is not written again."""
    path = tmp_path / "f"
    path.write_text("old")
    commit(path, lambda attempt: pytest.fail("written again"))
    assert path.read_text() == "old"


def test_a_failed_write_leaves_nothing(tmp_path):
    """When writing fails half-way, neither the file nor its attempt stays."""

    def write(attempt):
        attempt.write_text("half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        commit(tmp_path / "f", write)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("code", "reason"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "may not write")])
def test_no_room_names_the_path(tmp_path, code, reason):
    """A full disk is the user's to mend, and said with the path."""

    def write(attempt):
        raise OSError(code, "told by the system")

    with pytest.raises(InputError, match=rf"{tmp_path}/f: cannot be written, .*{reason}"):
        commit(tmp_path / "f", write)
