"""What import-linter cannot see: importing a leaf is cheap, and the packages ship what they need."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("operators", ("ray", "torch", "cvxpy", "numpy")),
        ("cluster", ("ray", "torch", "cvxpy")),
        ("engine", ("ray", "torch", "cvxpy", "openai", "pandas")),
        ("engine.cli.main", ("ray", "torch", "cvxpy", "openai", "pyarrow")),
        ("engine.synthesis.programs", ("ray", "torch", "cvxpy", "openai", "jinja2")),
        ("operators.sandbox.pool", ("ray", "torch", "cvxpy", "pydantic")),
        ("operators.moments", ("ray", "torch", "cvxpy", "pydantic")),
        ("operators.apply", ("torch", "cvxpy", "pydantic", "openai")),
    ],
)
def test_import_brings_nothing_heavy(module: str, forbidden: tuple[str, ...]):
    """Workers and the command line start without what they do not use."""
    code = f"import sys, {module}; print([m for m in {forbidden!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_stay_short():
    """A file is for one thing, and 250 lines are room enough for it."""
    long = {
        str(path.relative_to(ROOT)): lines
        for package in ("engine", "operators", "cluster")
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 260
    }
    assert long == {}


def test_no_package_of_ours_among_the_tests():
    """An __init__.py below tests/ would make `import engine` find the tests."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_templates_are_shipped():
    """Every file that is not Python and lies in a package is named in package-data."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    others = [
        path
        for package in ("engine", "operators", "cluster")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    ]
    assert others
    assert [path for path in others if not any(path.match(pattern) for pattern in patterns)] == []
