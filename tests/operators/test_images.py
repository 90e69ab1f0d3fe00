"""Images of every odd kind become RGB pixels or a reason why not."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest

from operators.images import MAX_PIXELS, MAX_RATIO, UnreadableRow, decode, shape

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixel(data):
    image = decode(data)
    assert image.mode == "RGB"
    return image.getpixel((0, 0))


def test_plain_images_keep_their_pixels():
    """A PNG of RGB comes back as it was written."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(decode(encoded(Image.fromarray(pixels)))), pixels)


def test_cmyk_becomes_rgb():
    """A CMYK JPEG of pure red stays red."""
    red, green, blue = pixel(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize(("value", "kind"), [(0x8000, "PNG"), (0x8000, "TIFF"), (0xFFFF, "PNG"), (0x0100, "PNG")])
def test_sixteen_bits_are_scaled_and_not_cut_off(value, kind):
    """The upper byte of 16 bits is what is left of a pixel."""
    image = Image.fromarray(np.full((4, 4), value, np.uint16))
    assert pixel(encoded(image, kind)) == (value >> 8,) * 3


def test_transparent_pixels_become_white():
    """What lies under full transparency is not seen; half of it is mixed with white."""
    assert pixel(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0)))) == (255, 255, 255)
    assert pixel(encoded(Image.new("LA", (2, 2), (0, 128)))) == (127, 127, 127)


def test_the_first_frame_of_an_animation_is_taken():
    """Of a GIF of two frames the first is the image."""
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    assert pixel(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])) == (255, 0, 0)


def test_a_camera_held_sideways_is_turned_back():
    """The orientation in the file's note is applied."""
    image = Image.new("RGB", (4, 2))
    note = Image.Exif()
    note[0x0112] = 6
    assert decode(encoded(image, "JPEG", exif=note)).size == (2, 4)


def bomb(side):
    """A PNG that claims to be large and holds a few bytes."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    body = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


PHOTO = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no image", "no image of a known format"),
        (PHOTO[: len(PHOTO) // 2], "cannot be decoded"),
        (PHOTO[:20], "no image|cannot be decoded"),
        (encoded(Image.effect_noise((64, 64), 50))[:900], "cannot be decoded"),
        (bomb(9_500), "90250000|89478485"),
        (bomb(60_000), "cannot be decoded .Decompression"),
        (encoded(Image.new("F", (2, 2)), "TIFF"), "floating-point"),
        (encoded(Image.new("L", (1, 65535))), "1 x 65535 pixels, and 1 to 100"),
        (encoded(Image.new("L", (101, 1))), "101 x 1 pixels, and 1 to 100"),
        (encoded(Image.new("RGB", (8, 8)), "EPS"), r"no image of a known format \(JPEG, PNG"),
    ],
    ids=["text", "half a JPEG", "a JPEG's head", "half a PNG", "large", "bomb", "floats", "tall", "wide", "EPS"],
)
def test_what_cannot_be_decoded_says_why(data, reason):
    """Broken bytes and bombs are a fault of their row, whatever the decoder raises."""
    with pytest.raises(UnreadableRow, match=reason):
        decode(data)


def test_damage_anywhere_is_a_picture_or_a_reason():
    """Bytes overwritten at random places never raise anything else."""
    generator = np.random.default_rng(1)
    sources = [
        PHOTO,
        *(encoded(Image.effect_noise((32, 32), 50).convert("RGB"), kind) for kind in ("GIF", "TIFF", "PNG")),
    ]
    for source in sources:
        for _ in range(50):
            data = bytearray(source)
            for place in generator.integers(0, len(data), 8):
                data[place] = generator.integers(0, 256)
            with contextlib.suppress(UnreadableRow):
                assert decode(bytes(data)).mode == "RGB"


def test_the_narrowest_shape_can_be_brought_to_size():
    """Brought to 448 pixels on its shorter side, what is let through has no more pixels than a large photograph."""
    assert decode(encoded(Image.new("L", (MAX_RATIO, 1)))).size == (MAX_RATIO, 1)
    assert 448**2 * MAX_RATIO < MAX_PIXELS / 4


def test_a_step_that_fails_is_a_fault_of_the_row():
    """Whatever goes wrong when an image is brought to size, a lack of memory too, is told of that image."""
    assert shape(3, [lambda n: n + 1, lambda n: n * 2]) == 8
    with pytest.raises(UnreadableRow, match="cannot be brought to size .MemoryError: 99 GB"):
        shape(3, [lambda n: n, lambda n: (_ for _ in ()).throw(MemoryError("99 GB"))])


def test_bounds_are_pillows():
    """The bound is the one above which Pillow itself speaks of a bomb."""
    assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS
