"""What a folder of images says of itself by its subfolders: classes, and which images are to train or to test with.

Names alone are looked at, but all of them: the first thousand files by name would often be of one class.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engine.errors import ConfigError
from operators.corpus.files import FORMATS, find_files
from operators.corpus.images import SUFFIXES
from operators.errors import InputError

_SPLIT = re.compile(r"(train|test|eval|val|valid|dev)(ing|uation|idation)?", re.IGNORECASE)
_TEST = re.compile(r"test|eval", re.IGNORECASE)
_VALIDATION = re.compile(r"val|dev", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """A folder of images.

    Attributes:
        rows: the columns `image` and `label` of all its images.
        train: its subfolders of training images, where it is split so; else empty.
        test: of test images, likewise.
    """

    rows: dict[str, list[str]]
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


def image_folder(data: Path) -> ImageFolder | None:
    """Look at a folder; None where it is none, or has no more images than tables.

    Raises:
        ConfigError: it cannot be read.
    """
    if not data.is_dir():
        return None
    kinds = Counter(_kind(path) for path in data.rglob("*"))
    if kinds["image"] <= kinds["table"]:
        return None
    try:
        files = find_files([str(data)], base=str(data), of_images=True)
    except InputError as error:
        raise ConfigError(str(error)) from error
    names = [file.name for file in files]
    # As `operators.corpus.images` names them: by the folder that an image stands in.
    labels = [PurePosixPath(file.path).parent.name for file in files]
    if all("/" not in name for name in names):
        # Nothing but the folder itself, whose name says nothing of an image.
        return ImageFolder(rows={"image": names})
    train, test = _sides(names)
    return ImageFolder(rows={"image": names, "label": labels}, train=train, test=test)


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    return "image" if suffix in SUFFIXES else "table" if suffix in FORMATS else ""


def _sides(names: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell training from test folders by name, where all images stand in such folders and in one of a class there."""
    parts = [PurePosixPath(name).parts for name in names]
    tops = sorted({part[0] for part in parts})
    if min(map(len, parts)) < 3 or not all(_SPLIT.fullmatch(top) for top in tops):
        return (), ()
    # A folder to validate with is for testing where there is no other, and for training where there is.
    test = tuple(filter(_TEST.search, tops)) or tuple(filter(_VALIDATION.search, tops))
    train = tuple(top for top in tops if top not in test)
    return (train, test) if train and test else ((), ())
