"""A session starts Ray quietly, shares one that is there and ends only what it started."""

from __future__ import annotations

import logging
import os

import pytest
import ray

from cluster.errors import ClusterError
from cluster.session import connect

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def _environment(name: str) -> str | None:
    return os.environ.get(name)


def test_a_session_starts_and_ends_ray():
    """Within the block there is a cluster with the CPUs asked for; after it there is none."""
    with connect(num_cpus=3) as session:
        assert (session.num_cpus, session.num_nodes, session.local) == (3, 1, True)
        assert ray.is_initialized()
        with connect() as inner:
            assert (inner.num_cpus, inner.local) == (3, False)
        assert ray.is_initialized()
        store = ray.cluster_resources()["object_store_memory"]
        assert store <= 600 << 20
    assert not ray.is_initialized()


def test_workers_have_one_thread_and_the_driver_keeps_its_environment(monkeypatch):
    """Workers inherit the setting of one thread; this process has it only while Ray starts."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with connect(num_cpus=1):
        assert "OMP_NUM_THREADS" not in os.environ
        assert ray.get(ray.remote(_environment).remote("OMP_NUM_THREADS")) == "1"


def test_no_cluster_at_the_address():
    """An address where nothing answers is said, with the address."""
    with pytest.raises(ClusterError, match=r"no Ray cluster answers at 127\.0\.0\.1:1: .*ray start --head"):
        with connect("127.0.0.1:1"):
            pass


def test_a_session_is_quiet(capfd, caplog):
    """Starting and ending a cluster writes nothing to the terminal."""
    with caplog.at_level(logging.WARNING), connect(num_cpus=1):
        pass
    out, err = capfd.readouterr()
    # Ray's core says once a process which log level it was told; nothing turns that line off.
    rest = [line for line in err.splitlines() if "Set ray log level" not in line]
    assert (out, rest) == ("", [])
