"""A place for shard files is one run's, and a run keeps its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from upath import UPath

from engine.errors import ConfigError
from engine.storage import MARKER, for_workers, keep_only, place_shards, shards_of
from engine.store import RunDirectory
from operators.storage import names_in

Place = Callable[[str], str]


@pytest.fixture(params=["path", "url"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Name a folder on the disk or in fsspec's memory."""
    return lambda name: str(tmp_path / name) if request.param == "path" else f"memory://{tmp_path}/{name}"


def started(folder: Path, storage: str | None) -> RunDirectory:
    """Open a run, place its shards and go as far as to note the task."""
    run = RunDirectory(folder)
    try:
        run.shards = place_shards(run, storage)
    except ConfigError:
        run.close()
        raise
    run.note(task={})
    return run


def test_a_run_keeps_its_place(tmp_path: Path, place: Place):
    """Told once, it is remembered; another place is refused rather than everything computed anew there."""
    with started(tmp_path / "run", place("s")) as run:
        assert str(run.shards) == str(shards_of(run.path, place("s")))
        assert names_in(run.shards) == {MARKER}
        first = run.shards
    for again in (None, place("s")):
        with started(tmp_path / "run", again) as run:
            assert run.shards == first
    with pytest.raises(ConfigError, match="keeps its shard files in .*; leave `storage` as it was"):
        started(tmp_path / "run", place("t"))


def test_files_in_the_run_directory_stay_there(tmp_path: Path, place: Place):
    """A run that began without storage is not moved half-way, and one without it needs no marker."""
    with started(tmp_path / "run", None) as run:
        assert run.shards == run.path
        assert MARKER not in names_in(run.path)
    with pytest.raises(ConfigError, match="in its own directory"):
        started(tmp_path / "run", place("s"))


def test_two_runs_do_not_share_a_place(tmp_path: Path, place: Place):
    """The second is refused, told whose place it is, and takes it over once the marker is gone."""
    with started(tmp_path / "one", place("s")) as one:
        with pytest.raises(ConfigError, match=rf"another run, .*{tmp_path}/one.*--storage"):
            started(tmp_path / "two", place("s"))
        (one.shards / MARKER).unlink()
    with started(tmp_path / "two", place("s")) as two:
        assert names_in(two.shards) == {MARKER}


def test_only_the_wanted_files_of_a_folder_stay(tmp_path: Path, place: Place):
    """Results of an earlier state of the run leave the folder that users read as one dataset."""
    with started(tmp_path / "run", place("s")) as run:
        labels = run.shards / "labels"
        labels.mkdir()
        for name in ("old", "new"):
            (labels / name).write_text(name)
        keep_only(labels, [labels / "new"])
        assert names_in(labels) == {"new"}


def test_workers_read_a_model_where_they_can(tmp_path: Path, place: Place):
    """A copy goes beside shard files that stand elsewhere; else the model's own folder serves."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "w").write_bytes(b"weights")
    with started(tmp_path / "run", place("s")) as run:
        copy = for_workers(run, model, digest="d", names=["w"])
        assert (shards_of(run.path, copy) / "w").read_bytes() == b"weights"
        assert copy != str(model)
    with started(tmp_path / "near", None) as run:
        assert for_workers(run, model, digest="d", names=["w"]) == str(model)


def test_a_place_that_cannot_be_used_is_the_users_to_mend(tmp_path: Path):
    """The message names the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file.*cannot be used as storage"):
        started(tmp_path / "run", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="half-written"):
        started(tmp_path / "other", "ftp://host/x")


def test_a_url_leads_to_a_store(tmp_path: Path):
    """The memory of this test file is no disk."""
    assert isinstance(shards_of(tmp_path, "memory://x"), UPath)
