"""Photographs, shards of resized ones, and random weights, for benchmarks/clip_throughput.py.

The photographs of the shared folder are thumbnails. They are enlarged to the usual size of photographs in such corpora
first, because a thumbnail would be decoded for a fifth of the price.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from operators.torchvision_ops import ensure_torchvision

_QUALITY = 90


def write_checkpoint(path: Path, *, model: str) -> Path:
    """Save random weights of an architecture of open_clip."""
    ensure_torchvision()
    import open_clip

    torch.manual_seed(0)
    torch.save(open_clip.create_model(model, pretrained=None).state_dict(), path)
    return path


def write_photographs(folder: Path, *, source: Path, count: int, long_side: int) -> Path:
    """Write so many JPEGs, the photographs of `source` enlarged, from the start again when there are not enough."""
    from PIL import Image

    found = sorted(source.rglob("*.jpg"))
    if not found:
        sys.exit(f"{source}: no JPEGs there; name a folder of them with --photographs")
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number:06d}.jpg"
        if number >= len(found):
            # Another name for the same bytes: a million photographs need no more room than these.
            os.link(folder / f"{number % len(found):06d}.jpg", path)
            continue
        with Image.open(found[number]) as image:
            scale = long_side / max(image.size)
            sides = tuple(max(1, round(side * scale)) for side in image.size)
            image.convert("RGB").resize(sides, Image.Resampling.BICUBIC).save(path, quality=_QUALITY)
    return folder


def write_resized(path: Path, *, photographs: Sequence[Path], shaping: Sequence[Any]) -> Path:
    """Write a Parquet file with the photographs as small JPEGs, cut to what a model takes."""
    from PIL import Image

    small: dict[int, bytes] = {}
    rows = []
    for photograph in photographs:
        inode = photograph.stat().st_ino
        if inode not in small:
            with Image.open(photograph) as image:
                shaped: Any = image.convert("RGB")
            for step in shaping:
                shaped = step(shaped)
            buffer = io.BytesIO()
            shaped.save(buffer, "JPEG", quality=_QUALITY)
            small[inode] = buffer.getvalue()
        rows.append(small[inode])
    pq.write_table(pa.table({"image": pa.array(rows, pa.binary())}), path, row_group_size=1024)
    return path
