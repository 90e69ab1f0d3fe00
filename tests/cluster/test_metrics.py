"""What a stage does can be read where Prometheus reads it, and costs nothing where nobody does."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long]

PARTS = ("aiohttp", "aiohttp_cors", "opencensus", "opentelemetry.exporter.prometheus", "prometheus_client")

RECORD = """
import json, sys, time, urllib.request
import ray
ray.init("local", num_cpus=1, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False,
         _metrics_export_port=int(sys.argv[1]), _system_config={"metrics_report_interval_ms": 500})
from cluster.metrics import StageMeter
start = time.perf_counter()
meter = StageMeter(stage="apply", run="spam", num_shards=3)
meter.done(rows=100, seconds=0.5)
meter.done(rows=40, seconds=20.0)
spent = time.perf_counter() - start
StageMeter(stage="label", run="spam", num_shards=1).done(rows=7, seconds=0.01)
address = f"http://{ray.nodes()[0]['NodeManagerAddress']}:{sys.argv[1]}/metrics"
deadline, lines = time.monotonic() + int(sys.argv[2]), []
while time.monotonic() < deadline and not any("shard_seconds_count" in line and "label" in line for line in lines):
    time.sleep(0.5)
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            lines = [line for line in answer.read().decode().splitlines() if line.startswith("ray_alchemist")]
    except OSError:
        continue
print(json.dumps({"lines": lines, "spent": spent}))
ray.shutdown()
"""


def record(*, wait_s: int) -> dict[str, object]:
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-c", RECORD, str(port), str(wait_s)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def _there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.skipif(not all(map(_there, PARTS)), reason="only ray[default] offers metrics to Prometheus")
def test_rows_shards_seconds_and_what_remains_are_offered():
    """Each metric stands under its name and tags, with the sums of what was done."""
    lines = record(wait_s=40)["lines"]
    assert isinstance(lines, list)

    def value(name: str, stage: str, tag: str = "") -> float:
        found = [line for line in lines if line.startswith(name + "{") and f'stage="{stage}"' in line and tag in line]
        assert len(found) == 1, (name, stage, lines)
        assert 'run="spam"' in found[0]
        return float(found[0].rpartition(" ")[2])

    assert value("ray_alchemist_rows_total", "apply") == 140
    assert value("ray_alchemist_shards_total", "apply") == 2
    assert value("ray_alchemist_shards_remaining", "apply") == 1
    assert value("ray_alchemist_shard_seconds_count", "apply") == 2
    assert value("ray_alchemist_shard_seconds_bucket", "apply", 'le="1.0"') == 1
    assert value("ray_alchemist_shard_seconds_bucket", "apply", 'le="30.0"') == 2
    assert value("ray_alchemist_rows_total", "label") == 7
    assert value("ray_alchemist_shards_remaining", "label") == 0


def test_without_a_collector_they_cost_nothing():
    """Recording neither fails nor waits."""
    start = time.monotonic()
    spent = record(wait_s=0)["spent"]
    assert isinstance(spent, float)
    assert spent < 0.5
    assert time.monotonic() - start < 100
