"""The command line: help, usage errors and exit codes, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ALCHEMIST = str(Path(sys.executable).with_name("alchemist"))
COMMANDS = ("init", "plan", "run", "synthesize", "apply", "fit", "label", "distill", "evaluate", "report", "predict")

pytestmark = pytest.mark.slow


def call(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ALCHEMIST, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_help_names_every_command(tmp_path: Path):
    """`alchemist --help` lists the commands, and each has a help of its own."""
    said = call("--help", folder=tmp_path)
    assert said.returncode == 0
    for command in COMMANDS:
        assert command in said.stdout
    assert "--programs" in call("run", "--help", folder=tmp_path).stdout


def test_help_names_every_command_on_programs(tmp_path: Path):
    """`alchemist programs --help` lists its commands, and each has a help of its own."""
    said = call("programs", "--help", folder=tmp_path).stdout
    for command in ("list", "show", "diff", "edit", "disable", "enable", "add"):
        assert command in said
    assert "--from" in call("programs", "edit", "--help", folder=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("frobnicate",), "frobnicate"),
        (("run",), "TASK"),
        (("run", "none.yaml"), "no such task file"),
        (("predict", "nowhere", "x.csv", "--out", "o"), "nowhere"),
        (("programs", "list", "nowhere"), "neither a run directory nor a task file"),
        (("programs", "edit", "nowhere"), "NAME"),
    ],
)
def test_wrong_usage_exits_with_2(tmp_path: Path, arguments: tuple[str, ...], message: str):
    """A wrong command line is exit code 2 and a message, never a traceback."""
    said = call(*arguments, folder=tmp_path)
    assert said.returncode == 2, said.stderr
    assert message in said.stderr
    assert "Traceback" not in said.stderr


def test_plan_counts_without_running(project: Callable[..., Path]):
    """`plan` knows the rows and shards, says that prices are unknown, and writes nothing."""
    task = project(num_rows=250)
    before = set(task.parent.rglob("*"))
    done = call("plan", "task.yaml", "--json", folder=task.parent)
    planned = json.loads(done.stdout)
    assert planned["rows"] == 250
    assert planned["shards"] == 3
    assert planned["requests"] == 0
    assert planned["direct_labeling_estimate"] is None
    assert "language_model" in planned["price_unknown_because"]
    assert set(task.parent.rglob("*")) == before


def test_doctor_reports_the_sandbox(tmp_path: Path):
    """`doctor` names the level of isolation of this machine."""
    found = json.loads(call("doctor", "--json", folder=tmp_path).stdout)
    assert found["sandbox_level"] in range(4)
    assert found["ray"]
