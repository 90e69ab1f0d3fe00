"""Bad input of every kind: a message that names the place and says what to do, and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.ray]

ALCHEMIST = str(Path(sys.executable).with_name("alchemist"))


def refusal(task: Path, *arguments: str, until: str = "fit", code: int = 2) -> str:
    """Run and return what was said; no traceback may be in it."""
    done = subprocess.run(
        [ALCHEMIST, until, task.name, "--out", "run", *arguments],
        cwd=task.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stderr


def replace(path: Path, old: str, new: str) -> None:
    """Change a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_missing_file(project: Callable[..., Path]):
    """A corpus that is not there is named."""
    task = project(num_rows=20)
    (task.parent / "comments.csv").unlink()
    assert "comments.csv" in refusal(task)


def test_wrong_column(project: Callable[..., Path]):
    """A column that is not there is named, with those that are."""
    task = project(num_rows=20)
    replace(task, "text: body", "text: bodi")
    said = refusal(task)
    assert "'bodi'" in said
    assert "body" in said


def test_duplicate_id(project: Callable[..., Path]):
    """An id that stands in two rows is named before any program runs."""
    task = project(num_rows=20)
    replace(task, "text: body", "id: site, text: body")
    said = refusal(task)
    assert "id 'a' stands in" in said
    assert "columns.id" in said
    assert not (task.parent / "run" / "votes").exists()


def test_empty_corpus(project: Callable[..., Path]):
    """A corpus without rows is refused."""
    task = project(num_rows=0)
    assert "no rows" in refusal(task)


def test_gold_with_an_unknown_label(project: Callable[..., Path]):
    """A gold label that is no class is named with its row and the classes."""
    task = project(num_rows=200)
    replace(task.parent / "comments.csv", ",spam,", ",eggs,")
    said = refusal(task, until="evaluate")
    assert "'eggs'" in said
    assert "ham" in said


def test_no_program_parses(project: Callable[..., Path]):
    """A folder without a usable program is refused with the reasons."""
    task = project(num_rows=20, programs={"broken": "def label_function(text)\n    return 1\n"})
    said = refusal(task)
    assert "broken" in said


def test_one_program_that_does_not_parse_is_left_out_and_named(project: Callable[..., Path]):
    """One bad file among good ones is rejected by name; the others vote."""
    good = "def label_function(text):\n    return {} if '{}' in text else -1\n"
    programs = {"a": good.format(1, "http"), "b": good.format(0, "love"), "c": "def other(text):\n    return 1\n"}
    task = project(num_rows=50, programs=programs)
    said = refusal(task, code=0)
    assert "program c is rejected" in said
    assert "label_function" in said


@pytest.mark.long
def test_null_text_is_a_row_that_no_program_sees(project: Callable[..., Path]):
    """A null text is labeled by no program, kept as an uncovered row, and counted."""
    task = project(num_rows=0)
    lines = ['{"body": "love this song", "label": "ham", "site": "a"}', '{"body": null, "label": "ham", "site": "a"}']
    (task.parent / "comments.jsonl").write_text("\n".join(lines * 30) + "\n", encoding="utf-8")
    replace(task, "comments.csv", "comments.jsonl")
    assert "30 rows have a null text" in refusal(task, until="label", code=0)


@pytest.mark.long
def test_no_programs_and_no_language_model(project: Callable[..., Path]):
    """A task that says nothing on programs is told both ways to get them."""
    task = project(num_rows=20)
    replace(task, "programs: {folder: programs}\n", "")
    said = refusal(task)
    assert "programs.folder" in said
    assert "language_model" in said


@pytest.mark.long
def test_a_full_disk_is_named(project: Callable[..., Path], tmp_path: Path):
    """When the run directory's disk is full the message says so; with room, the same command finishes."""
    task = project(num_rows=200)
    run = task.parent / "run"
    run.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(run)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a tmpfs needs root")
    try:
        said = refusal(task, until="label")
        assert "disk is full" in said
        subprocess.run(["mount", "-o", "remount,size=64m", str(run)], check=True)
        refusal(task, until="label", code=0)
    finally:
        subprocess.run(["umount", "-l", str(run)], check=True)


@pytest.mark.long
def test_bad_files_are_skipped_where_the_task_says_so(project: Callable[..., Path]):
    """The rest is labeled as it would be alone, what was skipped is listed, and the exit code is 4."""
    task = project(num_rows=300)
    replace(task, "source: comments.csv", 'source: [comments.csv, "more/*.csv"], on_bad_shard: skip')
    (task.parent / "more").mkdir()
    (task.parent / "more" / "broken.csv").write_bytes(b'body,label,site\n"never closed,ham,a\n')
    said = refusal(task, code=4)
    assert "skipped" in said
    assert "broken.csv" in said
    again = refusal(task, code=4)
    assert "broken.csv" in again
    replace(task, "on_bad_shard: skip", "on_bad_shard: fail")
    assert "broken.csv" in refusal(task)
