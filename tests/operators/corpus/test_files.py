"""What a user names becomes files, or a message that says what was searched."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from operators.corpus.files import common_folder, find_files
from operators.corpus.plan import plan_shards
from operators.corpus.read import read_shard
from operators.errors import InputError


def _names(*sources: Path | str, base: str = "") -> list[str]:
    return [file.name for file in find_files([str(s) for s in sources], base=base)]


@pytest.fixture
def corpus(tmp_path):
    """Two CSV files, one in a subfolder, and what is no corpus."""
    (tmp_path / "in").mkdir()
    for name in ("b.csv", "in/a.csv", "README.md", ".hidden.csv", "_SUCCESS"):
        (tmp_path / name).write_text("body\nx\n")
    return tmp_path


def test_a_folder_is_searched_through(corpus):
    """A folder gives the files below it by name, without hidden and foreign ones."""
    assert _names(corpus, base=str(corpus)) == ["b.csv", "in/a.csv"]


def test_globs_and_lists(corpus):
    """Globs give what they match, `**` any depth; a list keeps its order."""
    assert _names(corpus / "*.csv", base=str(corpus)) == ["b.csv"]
    assert _names(corpus / "**/*.csv", base=str(corpus)) == ["b.csv", "in/a.csv"]
    assert _names(corpus / "in" / "a.csv", corpus / "b.csv", base=str(corpus)) == ["in/a.csv", "b.csv"]


def test_a_name_with_brackets_is_a_file(tmp_path):
    """A file that exists is that file, though its name looks like a glob."""
    (tmp_path / "a[1].csv").write_text("body\nx\n")
    assert _names(tmp_path / "a[1].csv", base=str(tmp_path)) == ["a[1].csv"]
    assert common_folder([str(tmp_path / "a[1].csv")]) == str(tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none.csv", "none.csv: no such file or folder"),
        ("*.parquet", r"\*.parquet: the glob leads to no corpus file; expected Parquet"),
        ("README.md", "README.md: the format is not known"),
        ("what://x", "what://x"),
    ],
)
def test_what_leads_nowhere(corpus, source, message):
    """A source without files says which one and what was expected."""
    with pytest.raises(InputError, match=message):
        _names(source if "://" in source else corpus / source)


def test_a_folder_of_other_files(tmp_path):
    """A folder without corpus files says what it has."""
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"leads to no corpus file, only .*notes.txt"):
        _names(tmp_path)


def test_mixed_formats_and_double_names(corpus):
    """The same rows in two formats, or a file named twice, would count rows twice."""
    with pytest.raises(InputError, match="named twice, the second time by"):
        _names(corpus, corpus / "b.csv")
    (corpus / "b.jsonl").write_text('{"body": "x"}\n')
    with pytest.raises(InputError, match="more than one format"):
        _names(corpus)


def test_common_folder(corpus):
    """The common folder is told from the sources, not from the files that are there today."""
    assert common_folder([str(corpus)]) == str(corpus)
    assert common_folder([str(corpus / "in" / "*.csv")]) == str(corpus / "in")
    assert common_folder([str(corpus / "in" / "a.csv"), str(corpus / "b.csv")]) == str(corpus)


def test_urls_of_other_file_systems():
    """What fsspec knows by URL is found, planned and read like local files."""
    system = fsspec.filesystem("memory")
    system.pipe("/corpus/a.csv", b"body\nx\ny\n")
    system.pipe("/corpus/in/b.csv", b"body\nz\n")
    try:
        shards = plan_shards(["memory://corpus"], max_rows=1, max_bytes=1 << 20, columns=["body"])
        rows = [row for shard in shards for row in read_shard(shard, text="body", id=None).to_pylist()]
        assert [row["text"] for row in rows] == ["x", "y", "z"]
        assert [row["id"] for row in rows] == ["a.csv:0", "a.csv:1", "in/b.csv:0"]
        system.pipe("/corpus/a.csv", b"body\nx\nY\n")
        with pytest.raises(InputError, match="changed since"):
            read_shard(shards[0], text="body", id=None)
    finally:
        system.rm("/corpus", recursive=True)


def test_links_and_folders_named_like_files(corpus):
    """A link to a file is one, also for a glob; a folder named like a file is searched, by a glob it is refused."""
    (corpus / "c.csv").symlink_to(corpus / "b.csv")
    assert _names(corpus, base=str(corpus)) == ["b.csv", "c.csv", "in/a.csv"]
    assert _names(corpus / "*.csv", base=str(corpus)) == ["b.csv", "c.csv"]
    (corpus / "d.csv").mkdir()
    (corpus / "d.csv" / "part.csv").write_text("body\nx\n")
    assert _names(corpus, base=str(corpus)) == ["b.csv", "c.csv", "d.csv/part.csv", "in/a.csv"]
    with pytest.raises(InputError, match=r"d.csv: a folder that is named like a file; name it by itself"):
        _names(corpus / "*.csv")


def test_a_link_to_a_folder_is_told_and_not_followed(corpus, caplog):
    """It may lead back to where it stands, without end."""
    (corpus / "again").symlink_to(corpus)
    assert _names(corpus, base=str(corpus)) == ["b.csv", "in/a.csv"]
    assert "again: a link to a folder, which is not followed; name the folder itself" in caplog.text
    (corpus / "z.csv").symlink_to(corpus / "in")
    with pytest.raises(InputError, match=r"z.csv: a link to a folder"):
        _names(corpus)


def test_what_is_named_like_a_file_and_is_none(corpus):
    """A pipe, whose reader would wait for ever, and links that lead nowhere are refused, or skipped with the reason."""
    os.mkfifo(corpus / "pipe.csv")
    with pytest.raises(InputError, match=r"pipe.csv: a pipe, socket or device, not a file; write"):
        _names(corpus / "pipe.csv")
    (corpus / "loop.csv").symlink_to(corpus / "loop.csv")
    (corpus / "gone.csv").symlink_to(corpus / "nowhere.csv")
    with pytest.raises(InputError, match=r"gone.csv: a link that leads to no file \(No such file"):
        _names(corpus)
    skipped: dict[str, str] = {}
    files = find_files([str(corpus)], base=str(corpus), skipped=skipped)
    assert [file.name for file in files] == ["b.csv", "in/a.csv"]
    assert [Path(name).name for name in skipped] == ["gone.csv", "loop.csv", "pipe.csv"]


def test_a_folder_without_files(tmp_path):
    """Empty, or of hidden files alone."""
    with pytest.raises(InputError, match=r"the folder leads to no corpus file; expected Parquet"):
        _names(tmp_path)
    (tmp_path / ".a.csv").write_text("body\nx\n")
    with pytest.raises(InputError, match=r"the folder leads to no corpus file"):
        _names(tmp_path)
