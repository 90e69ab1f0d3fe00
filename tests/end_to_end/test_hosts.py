"""A run over hosts with a network between them, one of which is cut off in the middle.

Network namespaces stand for hosts: each has its own addresses, and a link can be taken down without any process or
connection noticing, which killing a node does not show.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cluster.health import TIGHT

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
HEAD = "10.77.31.1"
ROWS, SHARDS = 1200, 24
RESULTS = ("rows", "votes", "faults", "counts", "labels")
_started: list[subprocess.Popen[bytes]] = []
"""By the present test; `ip netns exec` becomes what it starts, so these are in their namespaces."""


def ip(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the tool that makes namespaces and links."""
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=check)


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Three namespaces, joined by a bridge in the first; all their processes end with the test."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("making network namespaces takes root and the `ip` tool")
    names = [f"alc{os.getpid() % 100_000}{letter}" for letter in "abc"]
    try:
        for name in names:
            made = ip("netns", "add", name, check=False)
            if made.returncode:
                pytest.skip(f"this machine makes no network namespaces: {made.stderr.strip()}")
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", names[0], "link", "add", "br0", "type", "bridge")
        ip("-n", names[0], "addr", "add", f"{HEAD}/24", "dev", "br0")
        ip("-n", names[0], "link", "set", "br0", "up")
        for place, name in enumerate(names[1:], start=2):
            ip("-n", names[0], "link", "add", f"to{place}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", names[0], "link", "set", f"to{place}", "master", "br0", "up")
            ip("-n", name, "addr", "add", f"10.77.31.{place}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield names
    finally:
        for name in names:
            for pid in ip("netns", "pids", name, check=False).stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            ip("netns", "del", name, check=False)
        while _started:
            _started.pop().wait()


def start(host: str, *command: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a process on a host, with the settings that every node of a cluster needs."""
    environment = {**os.environ, **TIGHT, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    with log.open("ab") as file:
        command = ("ip", "netns", "exec", host, sys.executable, *command)
        _started.append(subprocess.Popen(command, env=environment, stdout=file, stderr=file))
    return _started[-1]


def start_node(host: str, *arguments: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a node of two CPUs."""
    ray = ["-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=2", "--object-store-memory=80000000"]
    return start(host, *ray, "--disable-usage-stats", *arguments, log=folder / f"{host}.log")


def wait_until(check: object, *, seconds: float, log: Path) -> None:
    """Wait for something to become true."""
    assert callable(check)
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.1)


def write_task(folder: Path) -> None:
    """Write a corpus of many shards and programs that take their time."""
    rng = np.random.default_rng(0)
    cues = ("free", "win", "love", "song")
    texts = [" ".join(rng.choice([*cues, "the", "this", "video"], size=5)) for _ in range(ROWS)]
    pq.write_table(pa.table({"id": list(range(ROWS)), "text": texts}), folder / "comments.parquet")
    (folder / "programs").mkdir()
    for place, cue in enumerate(cues):
        vote = f"return {place // 2} if {cue!r} in text else -1"
        (folder / "programs" / f"{cue}.py").write_text(
            f"def label_function(text):\n    sum(range(100_000))\n    {vote}\n"
        )
    (folder / "task.yaml").write_text(
        f"name: hosts\ndata: {{source: {folder}/comments.parquet}}\ncolumns: {{id: id}}\n"
        "classes: [{name: ham}, {name: spam}]\ninstruction: Label a comment.\nadmission: {rows: 20}\n"
        f"programs: {{folder: {folder}/programs}}\nshards: {{max_rows: {ROWS // SHARDS}}}\n"
    )


def content_of(run: Path) -> dict[str, bytes]:
    """Return the bytes of the files of results, by name."""
    files = [path for folder in RESULTS for path in sorted((run / folder).rglob("*")) if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def test_a_host_whose_link_is_cut_costs_no_row(hosts: list[str], tmp_path: Path):
    """It is given up after seconds, its shards are done elsewhere, and the bytes are those of one host alone."""
    write_task(tmp_path)
    task, run, log = str(tmp_path / "task.yaml"), tmp_path / "cut", tmp_path / "run.log"
    label = ("-m", "engine", "label", task, "--out")
    alone = start(hosts[0], *label, str(tmp_path / "calm"), log=log)
    assert alone.wait(200) == 0, log.read_text()[-3000:]
    sockets = tempfile.mkdtemp(prefix="h", dir="/tmp")  # their names must be short
    try:
        head = f"--node-ip-address={HEAD}"
        start_node(
            hosts[0], "--head", "--port=6379", head, "--include-dashboard=false", f"--temp-dir={sockets}",
            folder=tmp_path,
        )  # fmt: skip
        wait_until(lambda: answers(hosts[0]), seconds=90, log=tmp_path / f"{hosts[0]}.log")
        for place, host in enumerate(hosts[1:], start=2):
            own = f"--node-ip-address=10.77.31.{place}"
            start_node(host, f"--address={HEAD}:6379", own, folder=tmp_path)
            node_log = tmp_path / f"{host}.log"
            wait_until(lambda at=node_log: "Ray runtime started" in at.read_text(), seconds=90, log=node_log)
        driver = start(hosts[0], *label, str(run), "--address", f"{HEAD}:6379", log=log)
        wait_until(lambda: len(list((run / "votes").glob("*.parquet"))) >= 3, seconds=200, log=log)
        assert works(hosts[2]), "the host to be cut off had no work"
        ip("-n", hosts[0], "link", "set", "to3", "down")
        cut = time.monotonic()
        assert driver.wait(250) == 0, log.read_text()[-3000:]
        print(f"finished {time.monotonic() - cut:.1f} s after the cut")
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    ids = pq.read_table(run / "labels", columns=["id"]).column("id")
    assert len(ids) == ROWS == len(pc.unique(ids))
    assert content_of(run) == content_of(tmp_path / "calm")


def answers(host: str) -> bool:
    """Whether the head listens."""
    code = f"import socket; socket.create_connection(('{HEAD}', 6379), timeout=2).close()"
    command = ["ip", "netns", "exec", host, sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def works(host: str) -> bool:
    """Whether programs run on a host."""
    pids = ip("netns", "pids", host).stdout.split()
    found = [Path(f"/proc/{pid}/cmdline") for pid in pids]
    return any(b"sandbox/boot.py" in path.read_bytes() for path in found if path.exists())
