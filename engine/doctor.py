"""What this machine offers: isolation of the sandbox, cores, versions of what may change a result."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

from operators.sandbox.pool import Limits, Sandbox


def diagnose() -> dict[str, Any]:
    """Return what this machine offers: the sandbox's level, cores and versions."""
    with Sandbox(
        ["def label_function(text):\n    return 0\n"], num_classes=2, limits=Limits(required_level=0)
    ) as sandbox:
        level, layers, missing = sandbox.level, ", ".join(sandbox.layers), "; ".join(sandbox.missing)
    return {
        "sandbox_level": level,
        "sandbox_layers": layers,
        "sandbox_missing": missing or "nothing",
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
    } | versions()


def versions() -> dict[str, str]:
    """Return the versions that may change a result."""
    names = ("alchemist-labeling", "ray", "torch", "numpy", "cvxpy", "pyarrow", "scikit-learn")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}
