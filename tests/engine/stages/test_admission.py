"""Admission as a stage: who is turned away, what is tried again, and how many programs share a worker."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from engine.errors import ConfigError, ProgramRejected
from engine.plan import make_plan
from engine.stages.admission import Admitted, admit, group_size, measured_speed
from engine.stages.context import Context
from engine.stages.corpus import Corpus, plan
from engine.stages.programs import collect
from engine.stages.stream import Silent
from engine.store import RunDirectory
from engine.task import LabelingTask
from engine.task_file import read_task
from engine.task_parts import SandboxSpec
from operators.rows import IndexShard, RowCounts, SplitRule

GOOD = "def label_function(text):\n    return 1 if '{}' in text else -1\n"
STATE = "n = 0\ndef label_function(text):\n    global n\n    n += 1\n    return n % 2\n"


class Stage:
    """A corpus of 60 rows, a folder of programs, and the stage run on them as often as one likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warnings: list[str] = []
        self.statuses: dict[str, Any] = {}
        pd.DataFrame({"text": [f"row {row}" for row in range(60)]}).to_parquet(folder / "rows.parquet")
        (folder / "mine").mkdir()

    def task(self, **changes: Any) -> LabelingTask:
        values: dict[str, Any] = {
            "name": "t",
            "data": {"source": str(self.folder / "rows.parquet"), "test_fraction": 0.0},
            "classes": [{"name": "a"}, {"name": "b"}],
            "instruction": "Label it.",
            "programs": {"folder": str(self.folder / "mine")},
        }
        return LabelingTask.model_validate(values | changes)

    def give(self, **sources: str) -> None:
        for name, source in sources.items():
            (self.folder / "mine" / f"{name}.py").write_text(source)

    def __call__(self, **changes: Any) -> Admitted:
        task = self.task(**changes)
        rule = SplitRule(column=None, train_values=(), test_values=(), fraction=0.0)
        index = IndexShard(folder=str(self.folder / "run"), digest="d", text="text", id_column=None, split=rule)
        with ExitStack() as stack:
            run = stack.enter_context(RunDirectory(self.folder / "run"))
            ctx = Context(task=task, run=run, address=None, watch=Silent(), stack=stack)
            shards = tuple(plan(task))
            for shard in shards:
                index(shard.to_json())
            found = admit(ctx, Corpus(shards=shards, rows="d", counts=RowCounts(rows=60)), collect(ctx))
            self.warnings, self.statuses = ctx.warnings, ctx.statuses
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_program_that_breaks_the_terms_is_left_out_with_its_reason(stage: Stage) -> None:
    """It is named in the warnings and among the rejected ones, and the others go on."""
    stage.give(good=GOOD.format("7"), state=STATE)
    found = stage()
    assert [program.name for program in found.programs.programs] == ["good"]
    assert len(found.programs.keys) == 1
    assert "another order" in found.programs.rejected["state"][0]
    assert any("state is not admitted" in warning for warning in stage.warnings)
    assert set(found.trials) == {"good", "state"}


def test_nobody_admitted_is_an_error_with_the_reasons(stage: Stage) -> None:
    """Nothing could vote."""
    stage.give(state=STATE)
    with pytest.raises(ProgramRejected, match="another order"):
        stage()


def test_only_what_is_new_is_tried(stage: Stage) -> None:
    """What was measured stands until the program or the corpus changes; the verdict follows the terms of today."""
    stage.give(p=GOOD.format("7"), q=GOOD.format("8"))
    first = stage()
    assert stage.statuses["admission"] == "computed"
    assert stage().trials == first.trials
    assert stage.statuses["admission"] == "reused"
    stage.give(q=GOOD.format("9"))
    second = stage()
    assert second.trials["p"] == first.trials["p"]
    assert second.trials["q"].row_s != first.trials["q"].row_s
    with pytest.raises(ProgramRejected, match="abstains"):
        stage(admission={"max_abstain_fraction": 0.01})
    assert stage(admission={"rows": 30}).trials["p"].num_rows == 30


def test_a_program_that_never_votes_is_warned_of(stage: Stage) -> None:
    """It may be for a rare class, or wrong: a person can tell."""
    stage.give(p=GOOD.format("7"), silent=GOOD.format("nowhere"))
    found = stage()
    assert len(found.programs.programs) == 2
    assert any("silent voted on none of 60 rows" in warning for warning in stage.warnings)


def test_untried_programs_are_let_in_loudly(stage: Stage) -> None:
    """Zero rows switch the trial off, and the report says so."""
    stage.give(state=STATE)
    found = stage(admission={"rows": 0})
    assert len(found.programs.programs) == 1
    assert found.trials == {}
    assert any("untried" in warning for warning in stage.warnings)


def test_the_plan_knows_what_the_trial_measured(stage: Stage) -> None:
    """CPU seconds of all rows follow from the speed on the sample; without a trial they are unknown."""
    stage.give(p=GOOD.format("7"), q=GOOD.format("8"))
    run = stage.folder / "run"
    assert make_plan(stage.task(), out=run)["programs_cpu_s"] is None
    assert not run.exists()
    trials = stage().trials
    planned = make_plan(stage.task(), out=run)
    assert planned["programs_tried"] == len(measured_speed(run)) == 2
    assert planned["programs_cpu_s"] == pytest.approx(60 * sum(trial.row_s for trial in trials.values()))


@pytest.mark.parametrize(
    ("wanted", "num_programs", "row_s", "size"),
    [
        (1, 200, 1e-6, 1),
        (5, 12, 1e-3, 5),
        ("all", 12, 1e-3, 12),
        ("auto", 10, 50e-6, 1),
        ("auto", 10, 2e-6, 10),
        ("auto", 100, 2e-6, 16),
        ("auto", 100, 50e-6, 4),
    ],
)
def test_cheap_or_many_programs_share_a_worker(wanted: Any, num_programs: int, row_s: float, size: int) -> None:
    """`auto` alone decides by itself; a number and `all` are obeyed."""
    spec = SandboxSpec(group_size=wanted)
    assert group_size(spec, num_programs=num_programs, row_s=[row_s] * num_programs) == size


def test_the_group_size_of_the_task_reaches_the_sandbox(stage: Stage) -> None:
    """As a number, settled once for all workers."""
    stage.give(p=GOOD.format("7"), q=GOOD.format("8"))
    assert stage().programs.limits.group_size == 1
    assert stage(sandbox={"group_size": "all"}).programs.limits.group_size == 2


def test_running_without_a_boundary_has_to_name_the_risk(tmp_path: Path) -> None:
    """A low level alone is refused, with the words that accept it."""
    path = tmp_path / "task.yaml"
    task = "name: t\ndata: {source: x.csv}\nclasses: [{name: a}, {name: b}]\ninstruction: Label.\n"
    path.write_text(task + "sandbox: {required_level: 0}\n")
    with pytest.raises(ConfigError, match="programs_may_harm_this_machine: true"):
        read_task(path)
    path.write_text(task + "sandbox: {required_level: 0, programs_may_harm_this_machine: true}\n")
    assert read_task(path).sandbox.required_level == 0
