"""An encoder in a folder is known by what its files hold, and one on the hub by its name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from operators.encoder_files import encoder_identity
from operators.errors import InputError


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """Write a folder with files as transformers names them."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "vocab.txt", "model.safetensors", "README.md"):
        (folder / name).write_text(f"of {name}")
    return folder


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "vocab.txt", "model.safetensors"])
def test_another_content_of_the_same_size_and_time_is_another_encoder(encoder: Path, name: str) -> None:
    """Neither is told by what `stat` says: checkpoints of one architecture are of one size."""
    before, path = encoder_identity(str(encoder)), encoder / name
    stat = path.stat()
    path.write_text(path.read_text()[::-1])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert encoder_identity(str(encoder)) != before


def test_neither_the_place_nor_the_readme_counts(encoder: Path, tmp_path: Path) -> None:
    """A copy elsewhere embeds the same, and so does one with another README.md."""
    copy = shutil.copytree(encoder, tmp_path / "copy")
    (copy / "README.md").write_text("of another one")
    assert encoder_identity(str(copy)) == encoder_identity(str(encoder))


def test_a_name_on_the_hub_counts_itself_and_a_missing_folder_is_named(tmp_path: Path) -> None:
    """What is no folder may be on the hub, unless it is an absolute path."""
    assert encoder_identity("someone/bert-of-theirs") == "someone/bert-of-theirs"
    with pytest.raises(InputError, match="gone.*no such folder on this machine"):
        encoder_identity(str(tmp_path / "gone"))
