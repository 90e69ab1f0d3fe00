"""Runs on several nodes: one is lost in the middle, one joins in the middle; the bytes are those of one process."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import ray
from ray.cluster_utils import Cluster

from cluster.session import connect
from engine import pipeline, read_task
from engine.stages.stream import Silent
from operators.stream import run_shards

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.long]

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
    """Calls a function when so many shards of `apply` are done, and after each until it says that it has acted."""

    def __init__(self, number: int, act: Callable[[], bool]) -> None:
        self.done, self.acted, self._number, self._act = 0, False, number, act

    def advance(self, stage: str, *, rows: int = 0, num_bytes: int = 0) -> None:
        """Count."""
        if stage == "apply":
            self.done += 1
            if self.done >= self._number and not self.acted:
                self.acted = self._act()


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
    run = task_file.parent / "lost"

    def lose() -> bool:
        if sandboxes_below(raylet_of(lost)) == 0:
            return False  # its workers may still be starting
        cluster.remove_node(lost, allow_graceful=False)
        return True

    watch = AtShard(3, lose)
    result = pipeline.run(read_task(task_file), out=run, address=cluster.address, until="label", watch=watch)
    assert watch.acted, "the node that was lost had no work"
    assert not result.quarantined
    assert ids_stand_once(run)
    assert content_of(run) == calm


class Where:
    """Step that takes a while without a processor, and says on which node."""

    def __call__(self, item: str) -> bytes:
        """Wait and tell."""
        time.sleep(2)
        return str(ray.get_runtime_context().get_node_id()).encode()


def test_a_pool_grows_onto_a_node_that_joins(cluster: Cluster):
    """Items of the stage under way are done on the new node."""
    found: list[bytes] = []
    with connect(cluster.address) as session:
        items = [str(item) for item in range(60)]
        for node in run_shards(items, Where, step_args={}, num_actors=session.num_cpus, most_actors=30, num_cpus=1.0):
            found.append(node)
            if len(found) == 2:
                cluster.add_node(**NODE)
        assert session.now().num_cpus == 4
    assert len(found) == len(items)
    assert len(set(found)) == 2, "no item was done on the new node"
