"""Connecting to Ray: a cluster that is there, or one of this machine's own for as long as it is needed.

This is the one place that starts Ray. It shuts down only what it started, and sets the environment before Ray
reads it: workers inherit the environment of the process that starts the cluster.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray

from cluster.errors import ClusterError

logger = logging.getLogger(__name__)

OBJECT_STORE_BYTES = 512 << 20
"""Blocks hold names of shards and sums, never rows: Ray's default of a third of the memory would be waste."""

_FOR_WORKERS = {
    # One actor a core: a second level of threads only makes them wait for each other. Not for this process, which
    # may train with all cores.
    "OMP_NUM_THREADS": "1",
    # Ray Data makes every actor in a way of which Ray's core says at level error that it may not restart.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
"""Set while Ray starts, unless the user has set them."""

_FOR_ALL = {
    # Otherwise Ray warns of a change to come in how it hides GPUs from workers that ask for none.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray Data collects at each run what it did, and asks for a Prometheus to do so.
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Set for the length of a session, unless the user has set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A connection to Ray.

    Attributes:
        num_cpus: CPUs of all nodes that are up, at least 1.
        num_nodes: nodes that are up.
        node_memory_bytes: of each of them, what Ray lends to actors that state their memory.
        local: whether the cluster was started for this session and ends with it.
        num_gpus: of all nodes that are up.
    """

    num_cpus: int
    num_nodes: int
    node_memory_bytes: tuple[int, ...]
    local: bool
    num_gpus: int = 0

    def now(self) -> Session:
        """The same connection with the nodes that are up now: some may have joined or been lost."""
        return _look(local=self.local)

    def room_for(self, memory_bytes: int) -> int:
        """How many actors of so much memory fit on the nodes."""
        return sum(memory // memory_bytes for memory in self.node_memory_bytes)


@contextmanager
def connect(address: str | None = None, *, num_cpus: int | None = None) -> Iterator[Session]:
    """Connect to Ray for the length of a `with` block.

    A Ray that this process has already initialised is used as it is and left running.

    Args:
        address: of a cluster, as in `ray.init`; None takes RAY_ADDRESS, which a submitted job finds set, and without
            it starts a cluster on this machine.
        num_cpus: for a cluster started here; all of the machine unless given.

    Raises:
        ClusterError: there is no cluster at `address`, or none can be started.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    started = not ray.is_initialized()
    with _environment(_FOR_ALL):
        if started:
            _check_listening(address)
            with _environment(_FOR_WORKERS):
                _start(address, num_cpus)
        try:
            session = _look(local=started and address is None)
            logger.info("ray: %d CPUs on %d node(s)", session.num_cpus, session.num_nodes)
            yield session
        finally:
            if started:
                ray.shutdown()


def _look(*, local: bool) -> Session:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return Session(
        num_cpus=max(1, int(sum(resources.get("CPU", 0) for resources in nodes))),
        num_nodes=len(nodes),
        node_memory_bytes=tuple(int(resources.get("memory", 0)) for resources in nodes),
        local=local,
        num_gpus=int(sum(resources.get("GPU", 0) for resources in nodes)),
    )


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables that are not set, and take them away again."""
    missing = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


def _check_listening(address: str | None) -> None:
    """Say at once that nothing listens at host:port; Ray itself takes half a minute to."""
    host, _, port = (address or "").rpartition(":")
    if "://" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=20).close()
    except OSError as error:
        raise ClusterError(
            f"no Ray cluster answers at {address}: {error}; start one with `ray start --head`, or correct the address"
        ) from error


def _start(address: str | None, num_cpus: int | None) -> None:
    # Said each time in a process that did not choose a mode; Ray's default, a token for local clusters, is kept.
    logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(logging.ERROR)
    try:
        if address is None:
            # `local` rather than None: a stray cluster on this machine must not take the job.
            ray.init(
                "local",
                num_cpus=num_cpus,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        else:
            ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
    except Exception as error:  # Ray raises a bare one where a busy machine takes more than half a minute to start
        what = "Ray cannot be started on this machine" if address is None else f"no Ray cluster answers at {address}"
        raise ClusterError(f"{what}: {error}") from error
