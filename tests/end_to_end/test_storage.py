"""Shard files in an object store: the same bytes as on a disk, whole or not there, and a run's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("s3fs", reason="s3fs is the driver of s3://")
pytest.importorskip("moto.server", reason="moto stands for S3")

import s3fs
from moto.server import ThreadedMotoServer

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.long]

ALCHEMIST = str(Path(sys.executable).with_name("alchemist"))
SHARDS = ("rows", "votes", "faults", "counts", "labels", "features", "predictions")
BUCKET = "shards"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[s3fs.S3FileSystem]:
    """An S3 on localhost with an empty bucket; the environment leads drivers there, as it would for a user."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    system = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    system.mkdir(BUCKET)
    yield system
    server.stop()


def alchemist(*arguments: str | Path, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit code."""
    done = subprocess.run(
        [ALCHEMIST, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def on_disk(run: Path) -> dict[str, bytes]:
    """Return the bytes of the shard files of a run by their names below it."""
    files = [path for folder in SHARDS for path in (run / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def in_bucket(s3: s3fs.S3FileSystem, prefix: str) -> dict[str, bytes]:
    """Return the objects below a prefix that are no marker and no copy of the model, by their names below it."""
    names = [name.removeprefix(f"{BUCKET}/{prefix}/") for name in s3.find(f"{BUCKET}/{prefix}")]
    return {name: s3.cat_file(f"{BUCKET}/{prefix}/{name}") for name in names if name.split("/")[0] in SHARDS}


def test_a_run_in_an_object_store_is_a_run_on_a_disk(project: Callable[..., Path], s3: s3fs.S3FileSystem):
    """Every stage, Ray Train too: the same shard files to the byte, none on the driver's disk, and then reused."""
    task = project()
    home = task.parent
    task.write_text(task.read_text() + "end_model: {trainer: ray, num_workers: 2}\n")
    alchemist("run", task, "--out", "disk", folder=home)
    alchemist("run", task, "--out", "far", "--storage", f"s3://{BUCKET}/run", folder=home)
    assert on_disk(home / "far") == {}
    assert in_bucket(s3, "run") == on_disk(home / "disk")
    for name in ("config.json", "model.safetensors"):
        assert (home / "far" / "model" / name).read_bytes() == (home / "disk" / "model" / name).read_bytes()
    others = {name.removeprefix(f"{BUCKET}/run/").split("/")[0] for name in s3.find(f"{BUCKET}/run")} - set(SHARDS)
    assert others == {"alchemist-run.json", "model"}, "checkpoints of the training stay"

    again = json.loads(alchemist("run", task, "--out", "far", "--json", folder=home).stdout)
    assert set(again["statuses"].values()) == {"reused"}
    told = alchemist("run", task, "--out", "other", "--storage", f"s3://{BUCKET}/run", folder=home, code=2)
    assert "another run" in told.stderr
    told = alchemist("run", task, "--out", "far", "--storage", f"s3://{BUCKET}/else", folder=home, code=2)
    assert f"keeps its shard files in s3://{BUCKET}/run" in told.stderr
    told = alchemist("run", task, "--out", "new", "--storage", "s3://no-such-bucket/run", folder=home, code=2)
    assert "no-such-bucket" in told.stderr

    arguments = ("predict", home / "far" / "model", home / "comments.csv", "--text", "body", "--json")
    alchemist(*arguments, "--out", "predicted", "--storage", f"s3://{BUCKET}/predicted", folder=home)
    alchemist(*arguments, "--out", "near", folder=home)
    assert in_bucket(s3, "predicted") == on_disk(home / "near")


def test_a_killed_run_leaves_whole_objects_and_goes_on(project: Callable[..., Path], s3: s3fs.S3FileSystem):
    """After kill -9 each object can be read, and the next run ends as an undisturbed one; input from S3 too."""
    slow = "def label_function(text):\n    sum(range(60000))\n    return 1 if 'http' in text else -1\n"
    quick = "def label_function(text):\n    return 0 if 'nice' in text else 1 if 'free' in text else -1\n"
    love = "def label_function(text):\n    return 0 if 'love' in text else -1\n"
    task = project(num_rows=2000, programs={"slow": slow, "quick": quick, "love": love})
    home = task.parent
    s3.put_file(str(home / "comments.csv"), f"{BUCKET}/data/comments.csv")
    data = ("--data", f"s3://{BUCKET}/data")
    alchemist("label", task, *data, "--out", "calm", folder=home)
    command = [ALCHEMIST, "label", str(task), *data, "--out", "killed", "--storage", f"s3://{BUCKET}/killed"]
    process = subprocess.Popen(command, cwd=home, stderr=subprocess.DEVNULL, env=dict(os.environ))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if s3.exists(f"{BUCKET}/killed/votes") and len(s3.glob(f"{BUCKET}/killed/votes/*.parquet")) >= 3:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = {name: data for name, data in in_bucket(s3, "killed").items() if name.endswith(".parquet")}
    assert 3 <= sum(name.startswith("votes/") for name in left) < 20, "the kill came too early or too late"
    for content in left.values():
        pq.read_table(pa.BufferReader(content))
    alchemist("label", task, *data, "--out", "killed", folder=home)
    assert in_bucket(s3, "killed") == on_disk(home / "calm")
