"""`init` guesses what a person would, and writes a task file that is accepted and teaches every key."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from engine.errors import ConfigError
from engine.init import suggest, write_task
from engine.stages.score import plan_images
from engine.task import LabelingTask
from engine.task_file import read_task

ROWS: list[dict[str, Any]] = [
    {
        "row_id": i,
        "title": f"t{i}",
        "body": f'a comment, "no {i}"\nthat goes on for a while',
        "label": ("spam", "ham")[i % 2],
        "split": "test" if i % 5 == 0 else "train",
        "site": "ab"[i % 2],
    }
    for i in range(20)
]


def save(path: Path, rows: list[dict[str, Any]]) -> Path:
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "jsonl":
        with opener(path, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    else:
        with opener(path, "wt", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("name", ["d.csv", "d.tsv", "d.jsonl", "d.parquet", "d.csv.gz", "d.jsonl.gz"])
def test_guesses_the_same_of_every_format(tmp_path: Path, name: str) -> None:
    """The longest strings are the text; a telling name and fitting values make gold, id and split."""
    guess = suggest(save(tmp_path / name, ROWS))
    assert (guess.text, guess.gold, guess.id, guess.split) == ("body", "label", "row_id", "split")
    assert guess.classes == ("ham", "spam")
    assert guess.columns == tuple(ROWS[0])
    assert guess.num_rows_seen == 20
    assert set(guess.reasons) == {"text", "gold", "id", "split"}


def test_reads_the_first_rows_alone(tmp_path: Path) -> None:
    """A thousand rows are looked at; what is wrong far behind them is not seen here."""
    path = save(tmp_path / "d.jsonl", [{"text": "x"}] * 1000)
    with path.open("a") as file:
        file.write("not JSON\n")
    assert suggest(path).num_rows_seen == 1000


def test_guesses_no_more_than_it_sees(tmp_path: Path) -> None:
    """Without a telling name, or with values that stand twice, nothing is guessed."""
    rows = [{"words": "some words", "kind": i % 2, "id": i // 2, "label": float(i)} for i in range(300)]
    guess = suggest(save(tmp_path / "d.parquet", rows))
    assert (guess.text, guess.gold, guess.id, guess.split, guess.classes) == ("words", None, None, None, None)


def test_written_task_is_read_back(tmp_path: Path) -> None:
    """The file is accepted, its data path starts at its own folder, and the guesses are in it."""
    (tmp_path / "data").mkdir()
    data = save(tmp_path / "data" / "my comments.csv", ROWS)
    out = write_task(data, out=tmp_path / "task.yaml")
    task = read_task(out)
    assert task.data.source == (str(data),)
    assert yaml.safe_load(out.read_text())["data"]["source"] == "data/my comments.csv"
    assert task.name == "my-comments"
    assert task.columns.model_dump() == {
        "text": "body",
        "id": "row_id",
        "gold": "label",
        "group": None,
        "fields": {},
        "image": None,
        "nuisance": None,
    }
    assert task.class_names == ("ham", "spam")
    assert (task.data.split_column, task.data.train_values, task.data.test_values) == ("split", ("train",), ("test",))


def test_what_is_given_wins(tmp_path: Path) -> None:
    """Flags stand where guesses would, and awkward names are quoted."""
    rows = [{"a: b": "long enough text", "title": "t", "label": 1, "g#": "x"}, *([{"a: b": "u", "title": "v"}] * 2)]
    task = read_task(
        write_task(
            save(tmp_path / "d.jsonl", rows),
            out=tmp_path / "sub" / "task.yaml",
            name="mine",
            text="title",
            gold="a: b",
            group="g#",
            classes=["no: it's", "yes"],
            instruction='Say "yes" or no: # really.',
        )
    )
    assert task.columns.model_dump() == {
        "text": "title",
        "id": None,
        "gold": "a: b",
        "group": "g#",
        "fields": {},
        "image": None,
        "nuisance": None,
    }
    assert task.class_names == ("no: it's", "yes")
    assert task.instruction == 'Say "yes" or no: # really.'
    assert task.name == "mine"


def test_numbers_are_classes_by_size(tmp_path: Path) -> None:
    """Gold 0, 1, 10 and whole floats become classes in the order of the numbers."""
    rows = [{"text": "some text", "label": value} for value in (10.0, 1.0, 0.0, None) * 3]
    task = read_task(write_task(save(tmp_path / "d.parquet", rows), out=tmp_path / "task.yaml"))
    assert task.class_names == ("0", "1", "10")


@pytest.mark.parametrize("odd", ["two\nlines", "a\u2028b", "yes", "null", "a: b", "# c", "{{ x }}", "- d", "it's"])
def test_odd_class_names_are_read_back(tmp_path: Path, odd: str) -> None:
    """A value of the gold column that means something in YAML, or holds a line break, is still that class."""
    texts = [f"some words {i}" for i in range(10)]
    pq.write_table(pa.table({"text": texts, "label": [odd, "plain"] * 5}), tmp_path / "rows.parquet")
    task = read_task(write_task(tmp_path / "rows.parquet", out=tmp_path / "task.yaml"))
    assert set(task.class_names) == {odd, "plain"}


def test_placeholders_are_marked(tmp_path: Path) -> None:
    """Where nothing names the classes, two placeholders stand in, and the file says to edit them."""
    out = write_task(save(tmp_path / "d.jsonl", [{"text": "x"}]), out=tmp_path / "task.yaml")
    assert read_task(out).class_names == ("first_class", "second_class")
    assert out.read_text().count("# EDIT:") == 2


def test_unknown_gold_values_are_pointed_at(tmp_path: Path) -> None:
    """Gold values that no class covers are named; class indices are no such values."""
    rows = [{"text": "x", "label": value} for value in ("0", "1", "maybe", "0")]
    out = write_task(save(tmp_path / "d.csv", rows), out=tmp_path / "task.yaml", gold="label", classes=["ham", "spam"])
    assert "also holds maybe; add each to `gold_values`" in out.read_text()


def test_every_key_is_shown_with_its_default(tmp_path: Path) -> None:
    """All optional keys stand there behind "# "; taking that away leaves the task as it is."""
    out = write_task(save(tmp_path / "d.jsonl", [{"text": "x"}]), out=tmp_path / "task.yaml")
    before, text = read_task(out), out.read_text()
    lines = [re.sub(r"^( *)# ( *[a-z0-9_]+:( .*)?)$", r"\1\2", line) for line in text.splitlines()]
    out.write_text("\n".join(line for line in lines if not re.match(r"  (train|test): ", line)))
    after = read_task(out)
    assert after.positive == "second_class"
    changed = {"positive", "language_model"}
    assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)
    assert after.model_fields_set == set(LabelingTask.model_fields)
    assert after.language_model is not None
    for part in (
        after.data,
        after.columns,
        after.programs,
        after.language_model,
        after.synthesis,
        after.budget,
        after.end_model,
    ):
        assert part.model_fields_set | {"train", "test"} >= set(type(part).model_fields)


def test_leaves_a_file_alone(tmp_path: Path) -> None:
    """A file that is there is kept, unless told otherwise."""
    data, out = save(tmp_path / "d.jsonl", [{"text": "x"}]), tmp_path / "task.yaml"
    out.write_text("mine")
    with pytest.raises(ConfigError, match="--force"):
        write_task(data, out=out)
    assert out.read_text() == "mine"
    write_task(data, out=out, force=True)
    assert read_task(out).name == "d"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", "text,label\n", "no row"),
        ("d.csv", "", "no row"),
        ("d.csv", 'text\n"open', "RFC 4180"),
        ("d.jsonl", "[1]\n", "expected an object"),
        ("d.jsonl", "{\n", "row 0: not JSON"),
        ("d.parquet", "no", "d.parquet"),
        ("d.txt", "no", "format is not known"),
        ("d.jsonl", '{"n": 1}\n', "no column holds strings"),
    ],
)
def test_says_what_is_wrong_with_the_data(tmp_path: Path, name: str, content: str, message: str) -> None:
    """Data that cannot be read, or holds no text, is an error that names the file."""
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        suggest(tmp_path / name)
    assert name in str(caught.value)


def test_says_what_is_wrong_with_the_flags(tmp_path: Path) -> None:
    """Unknown columns, too few classes and missing files are errors, and nothing is written."""
    data, out = save(tmp_path / "d.csv", ROWS), tmp_path / "task.yaml"
    with pytest.raises(ConfigError, match="did you mean 'body'"):
        write_task(data, out=out, text="bodi")
    with pytest.raises(ConfigError, match="classes"):
        write_task(data, out=out, classes=["one"])
    with pytest.raises(ConfigError, match="no such file"):
        write_task(tmp_path / "none.csv", out=out)
    assert not out.exists()


IMAGES = ["ants/1.jpg", "ants/2.JPG", "bees/1.png", "bees/2.png", "bees/3.png", "wasps/1.webp", "wasps/2.webp"]


def save_images(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"never opened")
    return folder


def test_a_folder_of_images_is_a_task_over_its_subfolders(tmp_path: Path) -> None:
    """Subfolders are classes and gold; the file is accepted, and a plan finds all images with their labels."""
    # A table beside the images, as many a data set has one, makes no table of them.
    data = save_images(tmp_path / "my insects", IMAGES)
    (data / "labels.csv").write_text("file,label\n1.jpg,ants\n")
    guess = suggest(data)
    assert (guess.modality, guess.classes) == ("image", ("ants", "bees", "wasps"))
    out = write_task(data, out=tmp_path / "task.yaml")
    task = read_task(out)
    assert (task.modality, task.name, task.class_names) == ("image", "my-insects", ("ants", "bees", "wasps"))
    assert (task.columns.gold, task.columns.image, task.columns.id) == ("label", None, None)
    assert task.instruction == "Label an image as ants, bees or wasps."
    assert {"model", "pretrained"} <= task.scoring.options.keys()
    assert "(a guess: the folder that an image stands in)" in out.read_text()
    assert sum(shard.num_rows for shard in plan_images(task)) == len(IMAGES)


@pytest.mark.parametrize(
    ("folders", "train", "test"),
    [
        (("train", "val"), ["train"], ["val"]),
        (("train", "validation", "test"), ["train", "validation"], ["test"]),
        (("Training", "Testing"), ["Training"], ["Testing"]),
        (("train", "other"), [], []),
        (("train",), [], []),
    ],
)
def test_subfolders_that_name_a_split_are_one(
    tmp_path: Path, folders: tuple[str, ...], train: list[str], test: list[str]
) -> None:
    """Train and test folders become `data.train` and `data.test`; classes are the folders in them."""
    data = save_images(tmp_path / "d", [f"{top}/{name}" for top in folders for name in IMAGES])
    task = read_task(write_task(data, out=tmp_path / "task.yaml"))
    assert task.class_names == ("ants", "bees", "wasps")
    assert list(task.data.train) == [str(data / name) for name in train]
    assert list(task.data.test) == [str(data / name) for name in test]
    assert list(task.data.source) == ([] if train else [str(data)])
    assert sum(shard.num_rows for shard in plan_images(task)) == len(IMAGES) * len(folders)


def test_images_without_subfolders_have_no_gold(tmp_path: Path) -> None:
    """The name of the folder itself is no class; placeholders stand for the classes."""
    data = save_images(tmp_path / "d", ["1.jpg", "2.jpg"])
    task = read_task(write_task(data, out=tmp_path / "task.yaml"))
    assert (task.columns.gold, task.class_names) == (None, ("first_class", "second_class"))
    assert task.modality == "image"


def test_a_picture_beside_tables_makes_no_folder_of_images(tmp_path: Path) -> None:
    """A folder of tables is one, whatever stands in its corner."""
    (tmp_path / "d").mkdir()
    save(tmp_path / "d" / "rows.csv", ROWS)
    save_images(tmp_path / "d", ["logo.png"])
    assert suggest(tmp_path / "d").modality == "text"
