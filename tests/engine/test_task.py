"""Task files: what is accepted, and what each mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.task import LabelingTask
from engine.task_file import read_task, with_overrides

GOOD = """
name: spam
data: {source: comments.csv}
columns: {text: body, gold: label}
classes:
  - {name: ham}
  - {name: spam, gold_values: ["yes"]}
instruction: Label a comment as ham or spam.
"""


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "task.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_good_file_is_read_with_paths_from_its_folder(tmp_path: Path):
    """A relative path in a task file starts at the task file, not at the working directory."""
    task = read_task(_write(tmp_path, GOOD))
    assert task.data.source == (str(tmp_path / "comments.csv"),)
    assert task.class_names == ("ham", "spam")
    assert task.positive_class == 1
    assert task.prior is None


def test_gold_values_may_be_index_name_or_listed(tmp_path: Path):
    """A gold label is a class index, a class name or one of the listed values."""
    assert read_task(_write(tmp_path, GOOD)).gold_index() == {"0": 0, "1": 1, "ham": 0, "spam": 1, "yes": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("columns:", "colums:"), "unknown key `colums`; did you mean `columns`?"),
        (("text: body", "txt: body"), "unknown key `columns.txt`; did you mean `text`?"),
        (("gold_values", "gold_value"), "did you mean `gold_values`?"),
        (("name: spam\n", ""), "`name` is missing"),
        (("{name: ham}", "{name: spam}"), "class names must differ"),
        (("instruction: Label", "positive: eggs\ninstruction: Label"), "`positive: eggs` is not a class"),
        (
            ("instruction: Label", "class_balance: {ham: 0.5}\ninstruction: Label"),
            "must name each class once",
        ),
        (
            ("instruction: Label", "class_balance: {ham: 0.5, spam: 0.6}\ninstruction: Label"),
            "positive shares that sum to 1",
        ),
        (("instruction: Label", "budget: {money: 1}\ninstruction: Label"), "needs `language_model.price`"),
        (("{source: comments.csv}", "{source: a.csv, train: b.csv}"), "give either `source`, or `train`"),
        (("{source: comments.csv}", "{test: a.csv}"), "give either `source`, or `train`"),
        (("name: spam\n", "name: ../up\n"), "`name`"),
        (("instruction: Label", "end_model: {head: fine_tune}\ninstruction: Label"), "trains an encoder"),
        (("instruction: Label", "end_model: {features: columns}\ninstruction: Label"), "`modality: record`"),
        (("instruction: Label", "end_model: {head: mlp, self_training: true}\ninstruction: Label"), "`head: linear`"),
        (('["yes"]', "[ham]"), "means both 'ham' and 'spam'"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(tmp_path: Path, change: tuple[str, str], message: str):
    """Each mistake is answered with the file, the key and what is expected."""
    path = _write(tmp_path, GOOD.replace(*change))
    with pytest.raises(ConfigError) as error:
        read_task(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"), [("a: [", "cannot be read as YAML"), ("- a", "is a mapping of keys, got list")]
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, content: str, message: str):
    """A file that is not YAML, or no mapping, is refused by name."""
    with pytest.raises(ConfigError, match=message):
        read_task(_write(tmp_path, content))


def test_missing_task_file_says_how_to_make_one(tmp_path: Path):
    """A task file that is not there points to `alchemist init`."""
    with pytest.raises(ConfigError, match="alchemist init"):
        read_task(tmp_path / "none.yaml")


def test_overrides_start_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """--data and --programs are paths as typed in the shell; URLs stay as they are."""
    monkeypatch.chdir(tmp_path)
    task = with_overrides(read_task(_write(tmp_path, GOOD)), data=["x.csv", "s3://b/y.csv"], programs=Path("p"))
    assert task.data.source == (str(tmp_path / "x.csv"), "s3://b/y.csv")
    assert task.programs.folder == str(tmp_path / "p")


def test_data_override_cannot_stand_for_train_and_test(tmp_path: Path):
    """One list of files does not say which are for training."""
    text = GOOD.replace("source: comments.csv", "train: a.csv, test: b.csv")
    with pytest.raises(ConfigError, match="names `data.train`"):
        with_overrides(read_task(_write(tmp_path, text)), data=["x.csv"])


def test_a_task_is_frozen():
    """A task in use cannot change under a stage."""
    task = LabelingTask(name="t", data={"source": "x"}, classes=[{"name": "a"}, {"name": "b"}], instruction="Label it.")
    with pytest.raises(ValueError, match="frozen"):
        task.name = "u"


@pytest.mark.parametrize(
    "path",
    sorted((Path(__file__).resolve().parents[2] / "examples").glob("*/task.yaml")),
    ids=lambda path: path.parent.name,
)
def test_the_task_files_of_the_examples_are_accepted(path: Path):
    """What the repository shows to copy from keeps step with the keys."""
    assert read_task(path).instruction
