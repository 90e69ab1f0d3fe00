"""Images without scores, told once they are known: to the user by name, to run.json all of them."""

from __future__ import annotations

from engine.stages.context import Context
from operators.storage import Folder, map_files, read_table

_NAMED = 20
"""Images with a fault that get a line each; the scored files name all."""


def tell_faults(ctx: Context, paths: list[Folder]) -> tuple[Folder, ...]:
    """Warn of images without scores.

    Args:
        ctx: of the run.
        paths: of all scored rows.

    Returns:
        the first files with such images, up to the one with the twentieth.
    """
    faults: list[tuple[str, str]] = []
    faulty: list[Folder] = []
    tables = map_files(lambda path: read_table(path, ["image", "fault"]), paths)
    for path, table in zip(paths, tables, strict=True):
        kept = table.filter(table.column("fault").is_valid())
        if kept.num_rows and len(faults) < _NAMED:
            faulty.append(path)
        faults += zip(kept.column("image").to_pylist(), kept.column("fault").to_pylist(), strict=True)
    ctx.run.note(image_faults=dict(faults))
    for image, why in faults[:_NAMED]:
        ctx.warn(f"image {image} has no scores: {why}")
    if len(faults) > _NAMED:
        ctx.warn(f"{len(faults) - _NAMED} more images have no scores; `image_faults` in run.json names them all")
    return tuple(faulty)
