"""The run directory: its lock, its records, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.errors import ConfigError, EngineError
from engine.store import RunDirectory, StageRecord, digest_of


def test_two_runs_cannot_use_one_directory(tmp_path: Path):
    """A second run is refused while the first one holds the directory, and let in afterwards."""
    with RunDirectory(tmp_path / "run"):
        with pytest.raises(ConfigError, match="another run is using"):
            RunDirectory(tmp_path / "run")
    RunDirectory(tmp_path / "run").close()


def test_a_record_survives_the_process(tmp_path: Path):
    """What a finished stage wrote down is there for the next run."""
    record = StageRecord(digest="d", seconds=1.5, rows=3, result={"x": [1]})
    with RunDirectory(tmp_path / "run") as run:
        assert run.record("fit") is None
        run.put("fit", record)
    with RunDirectory(tmp_path / "run") as run:
        assert run.record("fit") == record


@pytest.mark.parametrize("content", ["{", '{"format": 99, "stages": {}}', "[]"])
def test_a_damaged_or_foreign_run_json_is_refused(tmp_path: Path, content: str):
    """A run.json that cannot be understood is refused by name, not overwritten."""
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"run\.json"):
        RunDirectory(tmp_path)
    assert (tmp_path / "run.json").read_text(encoding="utf-8") == content


def test_a_folder_with_other_files_is_no_run_directory(tmp_path: Path):
    """A user's own folder is not written into."""
    (tmp_path / "thesis.tex").write_text("x", encoding="utf-8")
    with pytest.raises(ConfigError, match="not a run directory"):
        RunDirectory(tmp_path)


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path):
    """`--out` may not be a file."""
    (tmp_path / "run").write_text("x", encoding="utf-8")
    with pytest.raises(ConfigError, match="this is a file"):
        RunDirectory(tmp_path / "run")


def test_json_of_a_run_is_strict(tmp_path: Path):
    """NaN is refused, and a damaged file is reported with what to do."""
    with RunDirectory(tmp_path / "run") as run:
        with pytest.raises(ValueError, match="JSON"):
            run.write_json("x.json", {"a": float("nan")})
        run.write_json("y.json", {"a": 1})
        assert run.read_json("y.json") == {"a": 1}
        (run.path / "y.json").write_text("{", encoding="utf-8")
        with pytest.raises(EngineError, match="delete it and run again"):
            run.read_json("y.json")


def test_digest_depends_on_every_part_and_on_nothing_else():
    """Equal parts give equal digests whatever the order of keys; any change gives another."""
    assert digest_of("a", {"x": 1, "y": 2}) == digest_of("a", {"y": 2, "x": 1})
    assert digest_of("a", {"x": 1}) != digest_of("a", {"x": 2})
    assert digest_of(["a", "b"]) != digest_of("a", "b")
    assert json.dumps(digest_of("a"))
