"""Starts the runs that benchmarks/kills.py disturbs: on a Ray of their own, or on a node that stands by for them all.

A run with a Ray of its own spends most of its time on Ray's start, so most runs share a node; its workers are started
anew for each run all the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from measure import ROOT

_RESULTS = ("rows", "votes", "faults", "counts", "labels", "label_model.json", "model", "predictions")
_MOST_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to run, and where.

    Attributes:
        folder: of the project.
        task: of `kills_project.TASKS`.
        until: command of Alchemist.
        out: name of the run directory, in `folder`.
        address: of the node; None starts a Ray for this run.
    """

    folder: Path
    task: str
    until: str
    out: str
    address: str | None

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in a process of its own."""
        where = ["--address", self.address] if self.address else []
        command = [sys.executable, "-m", "engine", self.until, f"{self.task}.yaml", "--out", self.out, *where]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=environment(), stdout=log, stderr=log)

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / f"{self.out}.log"

    def ray_started(self) -> bool:
        """Whether Ray started in time at the last try, of which Ray gives a busy machine half a minute."""
        return "timed out during startup" not in self.log.read_text()[-1500:]

    def digests(self) -> dict[str, str]:
        """Take the SHA-256 of every file of results."""
        run = self.folder / self.out
        paths = [path for name in _RESULTS for path in [run / name, *sorted((run / name).rglob("*"))] if path.is_file()]
        return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a run; one that hangs is killed, which its exit code says."""
    try:
        return process.wait(_MOST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def environment() -> dict[str, str]:
    """Variables of all runs and of the node."""
    return {
        **{name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def node() -> Iterator[tuple[str, int]]:
    """Start a node for the length of a `with` block; gives its address and the pid of its first process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sockets = tempfile.mkdtemp(prefix="k", dir="/tmp")  # their names must be short
    options = ["--head", f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false"]
    options += ["--object-store-memory=200000000", f"--temp-dir={sockets}", "--disable-usage-stats", "--block"]
    log = Path(sockets, "start.log")
    with log.open("ab") as file:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
        process = subprocess.Popen(command, env=environment(), stdout=file, stderr=file)
    try:
        end = time.monotonic() + 120
        while "Ray runtime started" not in log.read_text():
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"the node did not start:\n{log.read_text()}")
            time.sleep(0.2)
        yield f"127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(sockets, ignore_errors=True)
