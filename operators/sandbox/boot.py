"""Entry of the zygote's process: `python -S -s -P -B boot.py <descriptor> <options>`.

Makes the folder a package of its own, without putting any folder on the path: neither this repository nor what is
installed beside it can then be imported, by us or by a program.
"""

from __future__ import annotations

import importlib.util
import os
import sys


def _start() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs a start 5 ms
    spec = importlib.util.spec_from_file_location(
        "sandbox",
        os.path.join(folder, "__init__.py"),  # noqa: PTH118
        submodule_search_locations=[folder],
    )
    assert spec is not None  # a path was given
    sys.modules["sandbox"] = importlib.util.module_from_spec(spec)
    importlib.import_module("sandbox.zygote").main(sys.argv[1:])


if __name__ == "__main__":
    _start()
