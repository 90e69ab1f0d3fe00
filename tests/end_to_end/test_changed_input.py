"""Files that change while a run is under way: refused, and the same command again computes what changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cluster.session import connect
from engine import pipeline, read_task
from engine.stages.stream import Silent
from operators.errors import ChangedError

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.long]


class Changing(Silent):
    """Changes a file when a stage has ended, and notes how many items each stage had."""

    def __init__(self, change: Callable[[], object] | None = None) -> None:
        self.items: dict[str, int] = {}
        self._change = change

    def begin(self, stage: str, total: int, *, rows: int | None = None) -> None:
        self.items[stage] = self.items.get(stage, 0) + total

    def end(self, stage: str, status: str, seconds: float, rows: int | None, *, reason: str = "") -> None:
        if stage == "index" and self._change is not None:
            self._change()


@pytest.mark.parametrize("on_bad_shard", ["fail", "skip"])
def test_a_file_that_changes_after_the_index_is_refused_and_then_computed_alone(
    project: Callable[..., Path], on_bad_shard: str
):
    """No vote of a new text stands beside the id of an old one, whatever `on_bad_shard` says, and none is dropped."""
    task = project(num_rows=20)
    text = task.read_text(encoding="utf-8")
    source = f"{{source: parts, on_bad_shard: {on_bad_shard}}}"
    task.write_text(text.replace("{source: comments.csv}", source), encoding="utf-8")
    parts = task.parent / "parts"
    parts.mkdir()
    for i in range(6):
        rows = "".join(f"love song {i} {row},ham,a\n" for row in range(90))
        (parts / f"{i}.csv").write_text(f"body,label,site\n{rows}", encoding="utf-8")
    changed = parts / "3.csv"

    def change() -> None:
        time.sleep(0.05)  # more than the file system's clock moves at a time
        changed.write_text(changed.read_text(encoding="utf-8").replace("love song", "free http"), encoding="utf-8")

    run = task.parent / "run"
    with connect(num_cpus=2):
        with pytest.raises(ChangedError, match=r"3.csv changed since .*expected \d+ bytes.*found \d+ bytes.*run again"):
            pipeline.run(read_task(task), out=run, until="label", watch=Changing(change))
        assert not (run / "labels").exists()
        voted = {path.name[:16] for path in (run / "votes").glob("*.parquet")}
        watch = Changing()
        done = pipeline.run(read_task(task), out=run, until="label", watch=watch)
    assert done.skipped == {}
    assert watch.items["index"] == 1
    assert watch.items["apply"] == 6 - len(voted)
    labels = pq.read_table(run / "labels").to_pandas()
    assert len(labels) == 540
    spam = labels["id"].str.startswith("3.csv:")
    assert (labels["label"][spam] == 1).all()
    assert (labels["label"][~spam] == 0).all()
