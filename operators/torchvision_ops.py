"""Make torchvision importable beside a torch that it was not built for.

PyPI's torchvision is a CUDA build. Beside a CPU build of torch its compiled library cannot be loaded, so that its
own Python code misses two operators at import ("operator torchvision::nms does not exist"), and with it
transformers and open_clip fail, which need neither. Declaring the operators is enough to import it; calling them
still fails, and nobody here does. This file can go when PyPI serves a torchvision that imports on a CPU-only torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_keep_alive: list[Any] = []
"""torch forgets the operators of a library that nobody holds."""


def ensure_torchvision() -> None:
    """Import torchvision if it is installed, with the two operators declared where they are missing.

    To be called in every process before transformers or open_clip are imported; does nothing where torchvision is
    healthy or absent.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    else:
        return
    for name in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    import torch

    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(operator + _SCHEMA)
    _keep_alive.append(library)
    importlib.import_module("torchvision")
