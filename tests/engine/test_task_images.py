"""Task files of images: what goes with them, what is refused, and that the examples' programs fit their concepts."""

from __future__ import annotations

import json
import runpy
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from engine.synthesis.concepts import read_concepts
from engine.synthesis.programs import load_folder
from engine.task import LabelingTask
from engine.task_file import read_task
from operators.sandbox.pool import Limits, Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"


def task(**changes: object) -> LabelingTask:
    values: dict[str, object] = {
        "name": "birds",
        "modality": "image",
        "data": {"source": "images"},
        "classes": [{"name": "land"}, {"name": "water"}],
        "instruction": "Label birds.",
    }
    return LabelingTask.model_validate(values | changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"synthesis": {"show_rows": 3}}, "synthesis.show_rows"),
        ({"label_model": {"gold": "dev.csv"}, "columns": {"gold": "y"}}, "label_model.gold"),
        ({"end_model": {"features": "encoder", "encoder": "x"}}, "end_model.encoder"),
        ({"scoring": {"zero_shot": {"sea": "x"}}}, "'sea', which is no class"),
        ({"scoring": {"group_prompts": {"x": "sea"}}}, "'sea', which is no class"),
        ({"columns": {"fields": ["a"]}}, "go together"),
        ({"modality": "text", "columns": {"image": "file"}}, "goes with `modality: image`"),
        (
            {"annotate": {"baseline_rows": 5}, "language_model": {"model": "m"}},
            "`annotate` is for texts and records",
        ),
    ],
)
def test_what_does_not_go_with_images_is_refused(changes: dict[str, object], reason: str) -> None:
    """Names of files may give classes away, so nothing that would read them is accepted."""
    with pytest.raises(ValidationError, match=reason):
        task(**changes)


def test_paths_start_at_the_task_file(tmp_path: Path) -> None:
    """A checkpoint that is there and the file of concepts are found from the task's folder; a tag stays a tag."""
    (tmp_path / "w.pt").write_bytes(b"")
    (tmp_path / "task.yaml").write_text(
        "name: a\nmodality: image\ndata: {source: x}\nclasses: [{name: p}, {name: q}]\ninstruction: i\n"
        "scoring: {concepts: c.yaml, options: {model: ViT-B-32, pretrained: w.pt, batch_size: 8}}\n"
    )
    scoring = read_task(tmp_path / "task.yaml").scoring
    assert scoring.concepts == str(tmp_path / "c.yaml")
    assert scoring.options == {"model": "ViT-B-32", "pretrained": str(tmp_path / "w.pt"), "batch_size": 8}


@pytest.mark.parametrize(
    ("name", "spurious"), [("hymenoptera", "surroundings"), ("waterbirds", "surroundings"), ("sounds", "level")]
)
def test_programs_of_the_examples_fit_their_concepts(name: str, spurious: str) -> None:
    """Every program loads, and names concepts that are there and not spurious."""
    found = read_task(EXAMPLES / name / "task.yaml")
    folder = EXAMPLES / name / "programs"
    concepts = read_concepts(folder / "concepts.yaml", class_names=found.class_names)
    programs, unusable = load_folder(folder)
    bound, rejected = concepts.bound_all(programs)
    assert (unusable, rejected) == ((), {})
    assert len(bound) == len(list(folder.glob("*.py")))
    assert concepts.excluded == (spurious,)


@pytest.mark.parametrize(
    ("name", "colour", "votes"),
    [
        ("water", (40, 90, 200), [1, 1, 1, 0, -1]),
        ("forest", (40, 140, 50), [0, 0, 1, 0, -1]),
        ("a grey wall", (90, 90, 90), [-1, -1, 1, -1, -1]),
    ],
)
def test_pixel_programs_of_waterbirds_go_by_colours(name: str, colour: tuple[int, int, int], votes: list[int]) -> None:
    """Each is a program that the screen lets through, and takes the place for the bird as the baseline is meant to."""
    programs, unusable = load_folder(EXAMPLES / "waterbirds" / "pixels")
    assert unusable == ()
    image = json.dumps([[list(colour)] * 64] * 64)
    with Sandbox([p.source for p in programs], num_classes=2, limits=Limits(records=True)) as sandbox:
        outcome = sandbox.run([image], seed=0)
    assert (outcome.faults == 0).all(), name
    assert outcome.votes[0].tolist() == votes, name


def test_one_command_runs_waterbirds(tmp_path: Path) -> None:
    """It asks for the folder where there is none; else it writes the table and runs the task."""
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "installed").touch()
    make = ["make", "--directory", str(EXAMPLES.parent), f"VENV={tmp_path / 'venv'}", "waterbirds"]
    refused = subprocess.run(make, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "make waterbirds IMAGES=FOLDER" in refused.stderr
    (tmp_path / "metadata.csv").touch()
    told = subprocess.run([*make, "--dry-run", f"IMAGES={tmp_path}"], capture_output=True, text=True, check=True)
    ran = [line.removeprefix(f"{tmp_path}/venv/bin/") for line in told.stdout.splitlines() if "/bin/" in line]
    assert ran == [
        f'python examples/waterbirds/prepare.py "{tmp_path}"',
        "alchemist run examples/waterbirds/task.yaml --out runs/waterbirds",
    ]


def test_waterbirds_is_read_in_the_layout_of_wilds(tmp_path: Path) -> None:
    """Groups are bird and background, and the split is the official one."""
    (tmp_path / "metadata.csv").write_text("img_id,img_filename,y,split,place,place_filename\n1,a/b.jpg,1,2,0,x.jpg\n")
    prepare = runpy.run_path(str(EXAMPLES / "waterbirds" / "prepare.py"))["prepare"]
    assert prepare(tmp_path, tmp_path / "t.parquet") == 1
    (row,) = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert row == {
        "image": str(tmp_path / "a/b.jpg"),
        "y": 1,
        "group": "waterbird on land",
        "place": "land",
        "split": "test",
    }
