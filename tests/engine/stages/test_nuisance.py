"""What follows a nuisance: planted shortcuts are found without gold, and what is small or by chance is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from engine import read_task
from engine.pipeline import run
from engine.reporting.nuisance import NuisanceFigures
from engine.stages.nuisance import figures, measured
from engine.task import LabelingTask
from operators.nuisance import Crossed, crossed


def planted(num_rows: int, *, shares: dict[str, float], labels: float = 0.0, seed: int = 0) -> NuisanceFigures:
    """Answers that copy the column on a share of the rows, and are coins on the others."""
    rng = np.random.default_rng(seed)
    place = rng.integers(2, size=num_rows)
    every = [*shares.values(), labels, 0.0]
    answers = [np.where(rng.random(num_rows) < share, place, rng.integers(2, size=num_rows)) for share in every]
    values = ["water" if wet else "land" for wet in place]
    counts = crossed(values, np.stack(answers, axis=1), 2)
    return figures_of(counts, names=tuple(shares), column="place")


def figures_of(counts: Crossed, *, names: tuple[str, ...], column: str = "c") -> NuisanceFigures:
    found = measured(counts, num_answers=len(names) + 2, seed=0)
    return figures(counts, found, column=column, names=names, class_names=("l", "w"))


def test_a_shortcut_stands_out() -> None:
    """Of three programs the one that copies the column is found, and the labels that it made."""
    found = planted(2000, shares={"feet": 0.0, "sky": 0.6, "bill": 0.03}, labels=0.3)
    assert {name: d.follows for name, d in found.programs.items()} == {"feet": False, "sky": True, "bill": False}
    assert found.programs["sky"].cramers_v == pytest.approx(0.6, abs=0.05)
    assert found.labels.follows
    assert not found.end_model.follows
    assert (found.rows, found.num_values) == (2000, 2)
    wet = found.labels_by_value["water"]
    assert wet["w"] > 1.5 * wet["l"]


def test_in_many_rows_a_trifle_is_no_warning() -> None:
    """A V of 0.03 is far above chance in 100,000 rows, and still below what is worth a word."""
    d = planted(100_000, shares={"p": 0.03}).programs["p"]
    assert d.cramers_v is not None
    assert d.by_chance is not None
    assert d.by_chance < d.cramers_v < 0.1
    assert not d.follows


@pytest.mark.parametrize("seed", range(5))
def test_in_few_rows_chance_is_no_warning(seed: int) -> None:
    """Of forty rows a V of 0.2 comes by chance."""
    found = planted(40, shares={str(i): 0.0 for i in range(10)}, seed=seed)
    assert not any(d.follows for d in found.programs.values())


def test_a_program_that_abstains_by_the_column_follows_it() -> None:
    """Voting one class alone, and that on water alone, is a shortcut as well."""
    place = np.arange(200) % 2
    counts = crossed([str(p) for p in place], np.stack([np.where(place, 1, -1)] * 3, axis=1), 2)
    made = figures_of(counts, names=("p",))
    assert made.programs["p"].cramers_v == pytest.approx(1.0)


def test_without_a_value_nothing_is_said() -> None:
    """A column that is empty on all rows has no dependence."""
    made = figures_of(crossed([None], np.zeros((1, 3), np.int64), 2), names=("p",))
    assert (made.rows, made.num_values, made.labels_by_value) == (0, 0, {})
    assert (made.labels.cramers_v, made.labels.follows) == (None, False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"columns": {"nuisance": "text"}}, "programs are given it"),
        ({"columns": {"nuisance": "a", "fields": ["a", "b"]}, "modality": "record"}, "programs are given it"),
        ({"columns": {"nuisance": "y", "gold": "y"}}, "holds the gold labels"),
    ],
)
def test_what_programs_see_is_no_nuisance(changes: dict[str, object], reason: str) -> None:
    """A column that programs are given, or gold, is refused."""
    values = {"name": "t", "data": {"source": "x"}, "classes": [{"name": "a"}, {"name": "b"}], "instruction": "i"}
    with pytest.raises(ValidationError, match=reason):
        LabelingTask.model_validate(values | changes)


PROGRAMS = {
    "good": "def label_function(text):\n    return 1 if 'bill' in text else 0 if 'claw' in text else -1\n",
    "also": "def label_function(text):\n    return 1 if 'web' in text else 0 if 'toe' in text else -1\n",
    "sky": "def label_function(text):\n    return 1 if 'lake' in text else 0\n",
}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.ray
def test_a_run_warns_without_gold(tmp_path: Path) -> None:
    """The report has the figures and a warning names the program; neither votes nor labels hang on the column."""
    rng = np.random.default_rng(0)
    wet, water = rng.random(600) < 0.5, rng.random(600) < 0.5
    texts = [
        f"{'bill web' if bird else 'claw toe'} {'lake' if place else 'wood'} {i}"
        for i, (bird, place) in enumerate(zip(water, wet, strict=True))
    ]
    frame = pd.DataFrame({"text": texts, "place": np.where(wet, "lake", "wood")})
    frame.to_csv(tmp_path / "birds.csv", index=False)
    (tmp_path / "programs").mkdir()
    for name, source in PROGRAMS.items():
        (tmp_path / "programs" / f"{name}.py").write_text(source)
    task = {
        "name": "birds",
        "data": {"source": "birds.csv"},
        "classes": [{"name": "land"}, {"name": "water"}],
        "instruction": "Label birds.",
        "programs": {"folder": "programs"},
    }
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(task))
    plain = run(read_task(path), out=tmp_path / "plain")
    assert plain.report is not None
    assert plain.report.nuisance is None
    path.write_text(yaml.safe_dump(task | {"columns": {"nuisance": "place"}}))
    found = run(read_task(path), out=tmp_path / "plain")
    assert found.report is not None
    said = found.report.nuisance
    assert said is not None
    assert {name: d.follows for name, d in said.programs.items()} == {"also": False, "good": False, "sky": True}
    assert said.programs["sky"].cramers_v == pytest.approx(1.0)
    told = [warning for warning in found.warnings if "nuisance" in warning]
    assert len(told) == 1
    assert "program sky 1.00" in told[0]
    # Naming the column costs nothing that came before, as nothing there reads it.
    computed = {name for name, status in found.statuses.items() if status == "computed"}
    assert computed == {"nuisance"}
    again = run(read_task(path), out=tmp_path / "plain")
    assert again.statuses["nuisance"] == "reused"
    assert [warning for warning in again.warnings if "nuisance" in warning] == told
