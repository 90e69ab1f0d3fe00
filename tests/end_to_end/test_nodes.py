"""Runs on several nodes: one is lost in the middle, one joins in the middle; the bytes are those of one process."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import ray
from ray.cluster_utils import Cluster

from engine import pipeline, read_task
from engine.stages.context import Silent

pytestmark = [pytest.mark.slow, pytest.mark.ray]

ROWS, SHARDS = 1200, 24
NODE = {"num_cpus": 2, "object_store_memory": 80 << 20}
RESULTS = ("rows", "votes", "faults", "counts", "labels")
CUES = ("free", "win", "love", "song")


@pytest.fixture(scope="module")
def task_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of many shards, and programs that take their time."""
    folder = tmp_path_factory.mktemp("nodes")
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice([*CUES, "the", "this", "video"], size=5)) for _ in range(ROWS)]
    pq.write_table(pa.table({"id": list(range(ROWS)), "text": texts}), folder / "comments.parquet")
    (folder / "programs").mkdir()
    for place, cue in enumerate(CUES):
        vote = f"return {place // 2} if {cue!r} in text else -1"
        source = f"def label_function(text):\n    sum(range(100_000))\n    {vote}\n"
        (folder / "programs" / f"{cue}.py").write_text(source)
    path = folder / "task.yaml"
    path.write_text(
        "name: nodes\ndata: {source: comments.parquet}\ncolumns: {id: id}\nclasses: [{name: ham}, {name: spam}]\n"
        "instruction: Label a comment.\nprograms: {folder: programs}\nadmission: {rows: 20}\n"
        f"shards: {{max_rows: {ROWS // SHARDS}}}\n"
    )
    return path


@pytest.fixture(scope="module")
def calm(task_file: Path) -> dict[str, bytes]:
    """What a run on this machine alone gives."""
    pipeline.run(read_task(task_file), out=task_file.parent / "calm", until="label")
    return content_of(task_file.parent / "calm")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of one head; tests add nodes. Ends with the test, and nothing else does."""
    assert not ray.is_initialized()
    folder = tempfile.mkdtemp(prefix="n", dir="/tmp")  # sockets have short names
    made = Cluster(initialize_head=True, head_node_args={**NODE, "temp_dir": folder, "include_dashboard": False})
    try:
        yield made
    finally:
        made.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


class AtShard(Silent):
    """Calls a function when so many shards of `apply` are done, and another at each later one."""

    def __init__(self, number: int, act: Callable[[], None], later: Callable[[], None] = lambda: None) -> None:
        self.done, self._number, self._act, self._later = 0, number, act, later

    def advance(self, stage: str) -> None:
        """Count."""
        if stage == "apply":
            self.done += 1
            if self.done == self._number:
                self._act()
            elif self.done > self._number:
                self._later()


def content_of(run: Path) -> dict[str, bytes]:
    """Return the bytes of the files of results, by name."""
    files = [path for folder in RESULTS for path in sorted((run / folder).rglob("*")) if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def ids_stand_once(run: Path) -> bool:
    """Whether each row has one label."""
    ids = pq.read_table(run / "labels", columns=["id"]).column("id")
    return len(ids) == ROWS == len(pc.unique(ids))


def sandboxes_below(pid: int) -> int:
    """Count the sandbox workers among the descendants of a process: programs at work there."""
    parents, zygotes = {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if b"sandbox/boot.py" in (folder / "cmdline").read_bytes():
                zygotes.add(int(folder.name))
        except OSError:
            continue

    def is_below(process: int) -> bool:
        while process in parents and process != pid:
            process = parents[process]
        return process == pid

    return sum(parent in zygotes and is_below(child) for child, parent in parents.items())


def raylet_of(node: object) -> int:
    """Find the process that starts the workers of a node."""
    return int(node.all_processes["raylet"][0].process.pid)  # type: ignore[attr-defined]


def test_a_node_lost_in_the_middle_costs_no_row(cluster: Cluster, task_file: Path, calm: dict[str, bytes]):
    """Its actors are started elsewhere and do its shards again; one label a row, the bytes of one process."""
    cluster.add_node(**NODE)
    lost = cluster.add_node(**NODE)
    run, busy = task_file.parent / "lost", []

    def lose() -> None:
        busy.append(sandboxes_below(raylet_of(lost)))
        cluster.remove_node(lost, allow_graceful=False)

    watch = AtShard(3, lose)
    result = pipeline.run(read_task(task_file), out=run, address=cluster.address, until="label", watch=watch)
    assert busy[0] > 0, "the node that was lost had no work"
    assert not result.quarantined
    assert ids_stand_once(run)
    assert content_of(run) == calm


def test_a_node_that_joins_in_the_middle_gets_work(cluster: Cluster, task_file: Path, calm: dict[str, bytes]):
    """The pool of the stage under way grows onto it, and what comes out does not depend on that."""
    run, raylets, busy = task_file.parent / "joined", [], []

    def join() -> None:
        raylets.append(raylet_of(cluster.add_node(**NODE)))

    watch = AtShard(2, join, later=lambda: busy.append(sandboxes_below(raylets[0])))
    pipeline.run(read_task(task_file), out=run, address=cluster.address, until="label", watch=watch)
    assert max(busy) > 0, f"no program ran on the new node: {busy}"
    assert ids_stand_once(run)
    assert content_of(run) == calm
