"""The README does what it says: its shell commands and its Python run, in order, on a corpus of that shape."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from engine.task_file import task_from

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.ray
def test_commands_and_python_run_as_written(project: Callable[..., Path]):
    """A newcomer who types the README's blocks one after the other gets through."""
    folder = project(num_rows=300).parent
    (folder / "task.yaml").unlink()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for block in blocks("bash"):
        done = subprocess.run(
            ["bash", "-euc", block], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", block],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    assert (folder / "runs" / "comments" / "report.html").is_file()
    assert list((folder / "predictions").rglob("*.parquet"))


def test_task_file_snippets_are_valid():
    """Every YAML block is part of a task file that is accepted."""
    base = {
        "name": "t",
        "data": {"source": "x.csv"},
        "classes": [{"name": "a"}, {"name": "b"}],
        "instruction": "Label it.",
    }
    snippets = blocks("yaml")
    assert snippets
    for snippet in snippets:
        task_from(base | yaml.safe_load(snippet), where="README.md", folder=ROOT)


def test_links_of_the_readme_lead_somewhere():
    """A relative link names a file of the repository."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
