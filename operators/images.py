"""Image files to pixels: whatever a file is, it becomes an RGB picture or a reason why not.

In a million images from the web some are broken, some are no images, and some are made to exhaust memory. Each of
them is one row without a score; none may end a run.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from operators.errors import OperatorError

MAX_PIXELS = 89_478_485
"""Of an image. Pillow's own bound, above which it warns of a decompression bomb: a quarter of a gigabyte as RGB."""

MAX_RATIO = 100
"""Of the longer side to the shorter. Models bring the shorter side to some hundreds of pixels: with 448, the most that
CLIP has, such a picture is then of 20 million, and one of 1 x 65535 would be of thirteen billion."""

RASTER = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats that are opened, by Pillow's names. Left to itself it hands some others to a program, EPS to Ghostscript."""

_WIDE = ("I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's names of 16 bits a pixel, which its own conversion to RGB cuts off at 255."""


class UnreadableRow(OperatorError):
    """One row cannot be turned into features; the reason is what the report says of it."""


def decode(data: bytes) -> Any:
    """Decode an image.

    Of an animation the first frame is taken; what is transparent becomes white; 16 bits a pixel become 8; a camera's
    note on how it was held is heeded.

    Args:
        data: an encoded image.

    Returns:
        a `PIL.Image.Image` of mode RGB.

    Raises:
        UnreadableRow: the bytes are no image of `RASTER`, or a broken, too large or too narrow one.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ImportError("images need Pillow; install the extra: pip install -e '.[image]'") from error
    try:
        with Image.open(io.BytesIO(data), formats=RASTER) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnreadableRow(f"{width} x {height} pixels, and {MAX_PIXELS} are the most")
            if max(width, height) > MAX_RATIO * min(width, height):
                raise UnreadableRow(f"{width} x {height} pixels, and 1 to {MAX_RATIO} is the narrowest shape")
            image.load()
            return ImageOps.exif_transpose(_rgb(image))
    except UnreadableRow:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableRow(f"the bytes are no image of a known format ({', '.join(RASTER)})") from error
    except Exception as error:
        # A decoder of a broken file may raise anything: OSError, SyntaxError, struct.error, IndexError, MemoryError.
        raise UnreadableRow(f"cannot be decoded ({type(error).__name__}: {str(error)[:160]})") from error


def shape(image: Any, steps: Sequence[Callable[[Any], Any]]) -> Any:
    """Bring a decoded image to what a model takes, step by step.

    Raises:
        UnreadableRow: a step fails; memory may be short for one image and not for the next.
    """
    try:
        for step in steps:
            image = step(image)
    except Exception as error:
        raise UnreadableRow(f"cannot be brought to size ({type(error).__name__}: {str(error)[:160]})") from error
    return image


def _rgb(image: Any) -> Any:
    from PIL import Image

    if image.mode == "F":
        raise UnreadableRow("its pixels are floating-point numbers, whose range nobody states; save it with 8 bits")
    if image.mode in _WIDE:
        import numpy as np

        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "I":
        import numpy as np

        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise UnreadableRow("its pixels are 32-bit numbers above 65535; save it with 8 or 16 bits")
        return Image.fromarray((pixels >> 8 if pixels.max() > 255 else pixels).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layers = image.convert("RGBA")
        ground = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(ground, layers).convert("RGB")
    return image.convert("RGB")
