"""A kill of each kind, through the benchmark that makes fifty of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(1500)]

ROOT = Path(__file__).resolve().parents[2]


def test_a_kill_of_each_kind_changes_no_byte(tmp_path: Path):
    """Driver, Ray worker, zygote and sandbox worker: the results are those of a run that nobody disturbed."""
    found = tmp_path / "kills.json"
    script = str(ROOT / "benchmarks" / "kills.py")
    command = [sys.executable, script, "--kills", "4", "--seed", "7", "--rows", "1500", "--json", str(found)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.exists(), done.stderr
    content = json.loads(found.read_text())
    assert done.returncode == 0, f"{content['each']}\n{done.stderr}"
    assert content["by_kind"] == {"driver": 1, "ray": 1, "zygote": 1, "worker": 1}
    assert content["healed"] == content["kills"] == 4
