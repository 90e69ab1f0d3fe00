"""Images without scores are named, row by row, and the files that the first of them stand in are handed on."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.stages.context import Context
from engine.stages.image_faults import tell_faults
from engine.stages.stream import Silent
from engine.store import RunDirectory

CASES = [([0, 0], 0, []), ([0, 2, 1], 3, [1, 2]), ([15, 15, 1], 20, [0, 1])]


@pytest.mark.parametrize(("faults", "named", "files"), CASES)
def test_the_first_are_named_and_found(
    shelf: Callable[..., Any], tmp_path: Path, faults: list[int], named: int, files: list[int]
) -> None:
    """Twenty get a line each, the rest a line together; later files need not be looked through for those."""
    made = shelf()
    paths: list[Any] = []
    for number, count in enumerate(faults):
        # Two rows an image: a name is no key.
        names = [f"{number}-{row // 2}.jpg" for row in range(20)]
        ids = [f"{number}:{row}" for row in range(20)]
        reasons = pa.array(["no such file" if row < count else None for row in range(20)], pa.string())
        paths.append(tmp_path / f"{number}.parquet")
        pq.write_table(pa.table({"id": ids, "image": names, "fault": reasons}), paths[-1])
    with ExitStack() as stack:
        run = stack.enter_context(RunDirectory(made.run))
        ctx = Context(task=made.task, run=run, address=None, watch=Silent(), stack=stack)
        assert tell_faults(ctx, paths) == tuple(paths[number] for number in files)
    assert sum(warning.endswith("has no scores: no such file") for warning in ctx.warnings) == named
    assert len(ctx.warnings) == named + (sum(faults) > 20)
    noted = json.loads((made.run / "run.json").read_text())["image_faults"]
    expected = [f"{number}:{row}" for number, count in enumerate(faults) for row in range(count)]
    assert [row["id"] for row in noted] == expected
