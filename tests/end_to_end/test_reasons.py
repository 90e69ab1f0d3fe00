"""A rerun says what it computed and why: each kind of change on one small corpus, in one cluster."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.session import connect
from engine import pipeline, read_task
from engine.pipeline import RunResult

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.long]


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with connect(num_cpus=2):
        yield


class Project:
    """A corpus of two files and three programs, run as often as one likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir()
        (folder / "programs").mkdir()
        for name in ("a", "b"):
            self.rows(name, 120)
        self.program("links", "http")
        self.program("offers", "free")
        self.program("praise", "love", vote=0)

    def rows(self, name: str, num_rows: int) -> None:
        cues = ("http", "free", "love", "nice", "http free", "love song")
        lines = [json.dumps({"text": f"{cues[row % 6]} {name} {row}"}) for row in range(num_rows)]
        (self.folder / "data" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")

    def program(self, name: str, cue: str, *, vote: int = 1) -> None:
        source = f"def label_function(text):\n    return {vote} if {cue!r} in text else -1\n"
        (self.folder / "programs" / f"{name}.py").write_text(source)

    def __call__(self, **changes: Any) -> RunResult:
        classes = changes.pop("classes", ("ham", "spam"))
        task = {
            "name": "t",
            "data": {"source": "data"},
            "classes": [{"name": name} for name in classes],
            "instruction": "Label it.",
            "programs": {"folder": "programs"},
            # No two files in a shard, so that a changed one leaves the other's shards alone.
            "shards": {"max_rows": 60},
            "end_model": {"epochs": 3, "regularization": [0.01]},
        }
        path = self.folder / "task.yaml"
        path.write_text(json.dumps(task | changes))
        return pipeline.run(read_task(path), out=self.folder / "run")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def computed(result: RunResult) -> dict[str, str]:
    return {stage: why for stage, why in result.reasons.items() if why != "reused"}


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what our stages logged at level INFO; Ray logs too."""
    records = [r for r in caplog.records if r.levelno == logging.INFO and r.name.startswith("engine.")]
    return [record.getMessage() for record in records]


def test_the_first_run_and_one_where_nothing_changed(project: Project, caplog: pytest.LogCaptureFixture):
    """First everything is computed for the first time; then all is reused; each stage says so in one line."""
    with caplog.at_level(logging.INFO, logger="engine.stages"):
        first = project()
    assert all(why.endswith("for the first time") for why in first.reasons.values())
    assert first.reasons["apply"] == "computed 3 of 3 programs over 4 of 4 shards for the first time"
    assert [line.split(":")[0] for line in said(caplog)] == list(first.reasons)
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="engine.stages"):
        again = project()
    assert set(again.reasons.values()) == {"reused"}
    assert again.to_json()["reasons"] == again.reasons
    assert said(caplog) == [f"{stage}: reused" for stage in again.reasons]


def test_programs_edited_added_removed_and_renamed(project: Project):
    """The column that is new is computed, and every later stage names the program."""
    project()
    project.program("praise", "song", vote=0)
    edited = project()
    assert edited.reasons["index"] == "reused"
    assert edited.reasons["apply"] == "computed 1 of 3 programs over 4 of 4 shards: program praise was edited"
    for stage in ("admission", "fit", "label", "distill", "predict"):
        assert edited.reasons[stage].endswith("program praise was edited"), stage

    project.program("nice", "nice", vote=0)
    added = project()
    assert added.reasons["apply"] == "computed 1 of 4 programs over 4 of 4 shards: program nice is new"
    assert added.reasons["fit"] == "computed, because program nice is new"

    (project.folder / "programs" / "nice.py").unlink()
    removed = project()
    assert removed.reasons["apply"] == "computed 0 of 3 programs over 0 of 4 shards: program nice was removed"
    assert removed.reasons["label"] == "computed 4 of 4 shards: program nice was removed"

    # Programs stand in the order of their names.
    (project.folder / "programs" / "links.py").rename(project.folder / "programs" / "zlinks.py")
    moved = project()
    assert moved.reasons["apply"] == "computed 0 of 3 programs over 0 of 4 shards: program links is now called zlinks"


def test_settings(project: Project):
    """The label model, the distilled model, the class names, the seed: from the stage on that reads them."""
    project()
    method = project(label_model={"method": "majority_vote"})
    why = "the label model's method changed (moment_matching -> majority_vote)"
    assert [method.reasons[stage] for stage in ("index", "admission", "apply")] == ["reused"] * 3
    assert method.reasons["fit"] == f"computed, because {why}"
    assert method.reasons["label"] == f"computed 4 of 4 shards: {why}"
    assert method.reasons["distill"] == f"computed, because {why}"

    project()
    # What the end model is follows from its epochs, and nothing before it does.
    epochs = project(end_model={"epochs": 4, "regularization": [0.01]})
    why = "`end_model.epochs` changed (3 -> 4)"
    assert computed(epochs) == {
        "distill": f"computed, because {why}",
        "predict": f"computed 4 of 4 shards: {why}",
    }
    grams = project(end_model={"epochs": 4, "regularization": [0.01], "max_ngram": 1})
    assert grams.reasons["distill"] == "computed, because `end_model.max_ngram` changed (2 -> 1)"

    project()
    renamed = project(classes=("ham", "junk"))
    assert computed(renamed)["distill"] == "computed, because the class names changed (ham, spam -> ham, junk)"
    assert set(computed(renamed)) == {"distill", "predict"}

    project()
    seed = project(seed=1)
    assert computed(seed)["distill"] == "computed, because the seed changed (0 -> 1)"
    assert set(computed(seed)) == {"distill", "predict"}

    limits = project(sandbox={"row_timeout_s": 0.3}, seed=1)
    assert limits.reasons["apply"].endswith(": `sandbox.row_timeout_s` changed (0.15 -> 0.3)")


def test_files_added_changed_and_removed(project: Project):
    """Only their shards are computed, and the file is named in every stage after."""
    project()
    project.rows("c", 60)
    added = project()
    assert added.reasons["index"] == "computed 1 of 5 shards: c.jsonl is new"
    assert added.reasons["apply"] == "computed 3 of 3 programs over 1 of 5 shards: c.jsonl is new"
    assert added.reasons["fit"] == "computed, because c.jsonl is new"

    project.rows("b", 100)
    changed = project()
    assert changed.reasons["index"] == "computed 2 of 5 shards: b.jsonl changed"

    (project.folder / "data" / "c.jsonl").unlink()
    removed = project()
    assert removed.reasons["index"] == "computed 0 of 4 shards: c.jsonl was removed"


def test_files_deleted_by_hand(project: Project):
    """What is gone is computed again, and said to have been gone; what does not follow from it stays."""
    project()
    next((project.folder / "run" / "labels").glob("*.parquet")).unlink()
    for path in sorted((project.folder / "run" / "votes").glob("*.parquet"))[:2]:
        path.unlink()
    again = project()
    assert computed(again) == {
        "apply": "computed 3 of 3 programs over 2 of 4 shards: files of it are gone",
        "label": "computed 1 of 4 shards: files of it are gone",
    }


def test_a_run_of_an_earlier_version_is_kept(project: Project):
    """Without names of inputs equal digests still mean reuse, and a change says that the names were not there."""
    project()
    path = project.folder / "run" / "run.json"
    content = json.loads(path.read_text())
    for record in content["stages"].values():
        del record["inputs"], record["reason"]
    path.write_text(json.dumps(content))
    changed = project(label_model={"method": "majority_vote"})
    assert changed.reasons["apply"] == "reused"
    assert changed.reasons["fit"] == "computed, because an earlier version made it and did not write down from what"
    assert project(label_model={"method": "dawid_skene"}).reasons["fit"] == (
        "computed, because the label model's method changed (majority_vote -> dawid_skene)"
    )


def test_a_run_that_was_cut_off_keeps_its_reasons(project: Project):
    """A stage that was begun and not finished says so, with why it was begun."""
    project()
    path = project.folder / "run" / "run.json"

    class Stop(pipeline.Silent):
        def begin(self, stage: str, total: int, *, rows: int | None = None) -> None:
            if stage == "label":
                raise KeyboardInterrupt

    project.program("praise", "song", vote=0)
    task = read_task(project.folder / "task.yaml")
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(task, out=project.folder / "run", watch=Stop())
    assert "label" not in json.loads(path.read_text())["stages"]
    on = project()
    assert on.reasons["fit"] == "reused"
    assert on.reasons["label"] == (
        "computed 4 of 4 shards: program praise was edited, begun by a run that did not finish it"
    )
    assert on.reasons["distill"] == "computed, because program praise was edited"
    assert set(project().reasons.values()) == {"reused"}
