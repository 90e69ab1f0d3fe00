"""Programs: from text, from answers, from folders, and back to files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from engine.errors import ConfigError, ProgramRejected
from engine.synthesis.programs import Program, from_completion, from_text, load_folder, provenance, write

SHARED = Path(__file__).resolve().parents[3] / "../shared"
ANSWERS = SHARED / "llm_programs/qwen2.5-coder-1.5b"

SOURCE = 'import re\n\ndef label_function(text):\n    return 1 if re.search("http", text) else -1\n'
HEADER = "# task: comments\n# by Ann\n\n"


def test_a_program_is_its_header_and_its_source() -> None:
    """The text is cut after the leading comments and put together again unchanged."""
    program = from_text("links", HEADER + SOURCE)
    assert (program.name, program.header, program.source) == ("links", HEADER, SOURCE)
    assert program.text == HEADER + SOURCE
    assert from_text("links", program.text) == program


def test_the_digest_covers_the_source_and_not_the_header() -> None:
    """A note in the header recomputes nothing; a changed or commented line of code does."""
    program = from_text("links", HEADER + SOURCE)
    assert from_text("other", "# another note\n" + SOURCE).digest == program.digest
    assert from_text("links", SOURCE.replace("http", "www")).digest != program.digest
    assert from_text("links", SOURCE + "# a remark\n").digest != program.digest


def test_the_digest_is_stable() -> None:
    """Votes on disk are found by this digest, so it must never change."""
    source = "def label_function(x):\n    return 1\n"
    assert from_text("a", source).digest == "33b74414496672150fed44de5ff0d8152e200d7dc32d150f8579f86e63f930a2"


@pytest.mark.parametrize("text", [SOURCE.replace("\n", "\r\n"), "\ufeff" + SOURCE, SOURCE + "\n\n  \n", SOURCE[:-1]])
def test_editors_habits_do_not_change_the_digest(text: str) -> None:
    """Line ends, a byte order mark and blank lines at the end are no edit."""
    assert from_text("a", text) == from_text("a", SOURCE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def classify(x):\n    return 1\n", "label_function"),
        ("# only a comment\n", "label_function"),
        ("", "label_function"),
        ("def label_function(x):\n    return 'it's'\n", ""),
        ("import os\ndef label_function(x):\n    return os.getpid()\n", "os"),
        ("def label_function():\n    return 1\n", "label_function"),
        ("def label_function(x):\n    return 1\x00\n", ""),
        ("def label_function(x):\n    return '\ud800'\n", "Unicode"),
        ("def label_function(x):\n    return " + "(" * 5000 + ")" * 5000 + "\n", ""),
    ],
)
def test_what_is_no_program_is_rejected_with_reasons(text: str, reason: str) -> None:
    """The contract is checked before anything runs, and the reason names what is wrong."""
    with pytest.raises(ProgramRejected) as caught:
        from_text("bad", text)
    assert caught.value.name == "bad"
    assert caught.value.reasons
    assert reason in " ".join(caught.value.reasons)


def test_reasons_count_lines_as_the_file_does() -> None:
    """A reader finds the named line in the file, header included."""
    with pytest.raises(ProgramRejected, match="line 4"):
        from_text("bad", HEADER + "import os\n" + SOURCE)


def test_an_unusable_name_is_refused() -> None:
    """A name becomes a file name."""
    with pytest.raises(ValueError, match="file name"):
        from_text("../evil", SOURCE)


def test_a_completion_becomes_a_program_with_its_header() -> None:
    """The header stands above the code, one blank line between."""
    program = from_completion("program_00", f"Sure:\n```python\n{SOURCE}```", header="# model: m")
    assert program.text == "# model: m\n\n" + SOURCE


def test_comments_of_the_model_cannot_forge_the_provenance() -> None:
    """Of a key that stands twice, the line that we wrote counts."""
    answer = f"```python\n# model: forged\n# price: 0 USD\n{SOURCE}```"
    program = from_completion("a", answer, header="# model: real\n# price: 0.5 USD\n")
    assert (provenance(program).model, provenance(program).price) == ("real", 0.5)


def test_a_version_that_passes_the_screen_is_taken_before_one_that_does_not() -> None:
    """An answer is usable when one of its versions is."""
    bad = "import socket\ndef label_function(x):\n    return 0"
    assert from_completion("a", f"```python\n{SOURCE}```\nor\n```python\n{bad}\n```").source == SOURCE


def test_a_cut_off_answer_is_rejected_as_such() -> None:
    """The reasons say that the block has no end, beside the syntax error."""
    with pytest.raises(ProgramRejected, match="cut off"):
        from_completion("a", "```python\ndef label_function(x):\n    if x in ('a',")


def test_an_endless_answer_is_rejected_unread() -> None:
    """Ten megabytes are no program."""
    with pytest.raises(ProgramRejected, match="10000000 characters"):
        from_completion("a", "x" * 10_000_000)


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    """Good files become programs; bad ones and copies are rejected with the reason."""
    (tmp_path / "b.py").write_text(SOURCE)
    (tmp_path / "a.py").write_text(SOURCE.replace("http", "www"))
    (tmp_path / "copy.py").write_text("# a copy\n" + SOURCE)
    (tmp_path / "latin.py").write_bytes("# é\n".encode("latin-1") + SOURCE.encode())
    (tmp_path / "two words.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("def label_function(x:\n")
    (tmp_path / "notes.txt").write_text("no program")
    (tmp_path / "folder.py").mkdir()
    programs, rejected = load_folder(tmp_path)
    assert [program.name for program in programs] == ["a", "b"]
    assert [error.name for error in rejected] == ["broken", "copy", "latin", "two words"]
    assert "same program as b" in str(rejected[1])
    assert "UTF-8" in str(rejected[2])


def test_a_missing_or_empty_folder_is_an_error_of_the_user(tmp_path: Path) -> None:
    """No folder and no files are told apart."""
    with pytest.raises(ConfigError, match="no such folder"):
        load_folder(tmp_path / "absent")
    with pytest.raises(ConfigError, match="no programs"):
        load_folder(tmp_path)


def test_a_written_program_is_read_back(tmp_path: Path) -> None:
    """Writing and reading is the identity, and leaves no other file."""
    program = Program(name="links", source=SOURCE, header=HEADER)
    path = write(program, tmp_path / "programs")
    assert path.read_text(encoding="utf-8") == program.text
    assert load_folder(tmp_path / "programs") == ((program,), ())
    assert [entry.name for entry in path.parent.iterdir()] == ["links.py"]


def test_writing_again_replaces_the_file(tmp_path: Path) -> None:
    """The second text is there whole."""
    write(Program(name="a", source=SOURCE * 5), tmp_path)
    write(Program(name="a", source=SOURCE), tmp_path)
    assert (tmp_path / "a.py").read_text() == SOURCE


@pytest.mark.parametrize("task", ["french", "imdb", "medabs", "sms", "waterbirds", "yelp", "youtube"])
def test_the_programs_at_hand_are_all_accepted(task: str) -> None:
    """Ten careful programs for each task load, differ, and come out as they went in."""
    folder = SHARED / "programs" / task
    if not folder.is_dir():
        pytest.skip("the programs of this task are not beside the repository")
    programs, rejected = load_folder(folder)
    assert rejected == ()
    assert len(programs) == 10
    for program in programs:
        assert program.text == (folder / f"{program.name}.py").read_text(encoding="utf-8").rstrip() + "\n"
        assert provenance(program).price is None


def answers() -> list[tuple[str, str]]:
    """(name, raw answer) of every program that a small model wrote."""
    if not ANSWERS.is_dir():
        return []
    lines = (ANSWERS / "responses.jsonl").read_text(encoding="utf-8").splitlines()
    return [(f"{row['task']}_{row['i']:02d}", row["response"]) for row in map(json.loads, lines)]


@pytest.mark.skipif(not ANSWERS.is_dir(), reason="the recorded answers are not beside the repository")
def test_recorded_answers_of_a_small_model_are_classified() -> None:
    """Each answer gives the code that was extracted by hand, or a rejection for what it really does wrong."""
    with (ANSWERS / "status.csv").open(newline="") as file:
        status = {row["prog"].removesuffix(".py"): row["status"] for row in csv.DictReader(file)}
    wrong = {}
    for name, answer in answers():
        try:
            program = from_completion(name, answer)
        except ProgramRejected as error:
            wrong[name] = " ".join(error.reasons)
        else:
            by_hand = from_text(name, (ANSWERS / f"{name}.py").read_text(encoding="utf-8"))
            assert program.source == by_hand.source
    assert len(status) == len(answers()) == 24
    ran = {name for name, said in status.items() if said == "ok"}
    assert "medabs_00" in wrong
    # What ran in a bare interpreter and is rejected here imports a package that the sandbox does not have.
    assert all("import" in wrong[name] for name in ran & set(wrong))
    # What failed on every row there is caught before any row here.
    assert set(status) - ran <= set(wrong)
