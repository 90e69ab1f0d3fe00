"""Images without scores, told once they are known: to the user by name, to run.json row by row.

Rows may share an image and images of two tables a bare name, so that a name is no key.
"""

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
    faults: list[dict[str, str | int]] = []
    faulty: list[Folder] = []
    tables = map_files(lambda path: read_table(path, ["id", "image", "fault"]), paths)
    for path, table in zip(paths, tables, strict=True):
        kept = table.filter(table.column("fault").is_valid())
        if kept.num_rows and len(faults) < _NAMED:
            faulty.append(path)
        faults += kept.to_pylist()
    ctx.run.note(image_faults=faults)
    for row in faults[:_NAMED]:
        ctx.warn(f"image {row['image']} has no scores: {row['fault']}")
    if len(faults) > _NAMED:
        ctx.warn(f"{len(faults) - _NAMED} more images have no scores; `image_faults` in run.json names them all")
    return tuple(faulty)
