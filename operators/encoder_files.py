"""What an encoder is known by: the content of its files, so that other weights in the same folder are another one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from operators.errors import InputError

_IGNORED = (".md", ".onnx")
"""Suffixes of what a folder may hold beside what transformers reads."""


def encoder_identity(name: str) -> str:
    """Return what embeddings and tokens by an encoder are kept under.

    All files are read: two checkpoints of one architecture are of one size, and copying may keep the time of a file.

    Args:
        name: a folder, whose config, tokenizer and weights count, wherever it stands; or a name on the hub, which
            counts itself.

    Raises:
        InputError: an absolute path leads to no folder, or a file cannot be read.
    """
    folder = Path(name)
    if not folder.is_dir():
        if folder.is_absolute():
            raise InputError(
                f"encoder {name!r} cannot be loaded: there is no such folder on this machine; put the encoder there, "
                "or name a folder with a transformers model and its tokenizer, or a model of the hub"
            )
        return name
    whole = hashlib.sha256()
    try:
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.suffix not in _IGNORED and not path.name.startswith("."):
                with path.open("rb") as file:
                    whole.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    except OSError as error:
        raise InputError(f"encoder {name!r} cannot be read: {error}") from error
    return f"sha256:{whole.hexdigest()[:32]}"
