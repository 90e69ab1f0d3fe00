"""Programs tried while they are written: in the real sandbox, once each, and in agreement with admission."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from engine.errors import ProgramRejected
from engine.stages.admission import admit
from engine.stages.context import Context
from engine.stages.corpus import Corpus, plan
from engine.stages.programs import ProgramSet, collect
from engine.stages.stream import Silent
from engine.stages.trials import SampleTrial
from engine.store import RunDirectory
from engine.synthesis.ledger import Ledger
from engine.synthesis.money import worst_case
from engine.synthesis.prompts import Prompt, general
from engine.synthesis.records import Entry
from engine.synthesis.repair import repair
from engine.task import LabelingTask
from operators.rows import IndexShard, RowCounts, SplitRule

pytestmark = pytest.mark.slow

SECRET = "call 0151 now"
BROKEN = "def label_function(text):\n    return {}[text]\n"
GOOD = "def label_function(text):\n    return 1 if '{}' in text else -1\n"


def task_of(folder: Path, **changes: Any) -> LabelingTask:
    values: dict[str, Any] = {
        "name": "t",
        "data": {"source": str(folder / "rows.parquet"), "test_fraction": 0.0},
        "classes": [{"name": "a"}, {"name": "b"}],
        "instruction": "Label it.",
        "programs": {"count": 2},
        "language_model": {"model": "m", "base_url": "http://127.0.0.1:9/v1", "max_retries": 0},
    }
    return LabelingTask.model_validate(values | changes)


@contextmanager
def stage(folder: Path, **changes: Any) -> Iterator[tuple[Context, Corpus]]:
    """A run directory with an indexed corpus of 60 rows, opened for one sitting."""
    if not (folder / "rows.parquet").exists():
        texts = [f"{SECRET if row % 2 else 'a song'} {row}" for row in range(60)]
        pd.DataFrame({"text": texts}).to_parquet(folder / "rows.parquet")
    task = task_of(folder, **changes)
    rule = SplitRule(column=None, train_values=(), test_values=(), fraction=0.0)
    index = IndexShard(folder=str(folder / "run"), digest="d", text="text", id_column=None, split=rule)
    with ExitStack() as stack:
        run = stack.enter_context(RunDirectory(folder / "run"))
        shards = tuple(plan(task))
        for shard in shards:
            index(shard.to_json())
        yield (
            Context(task=task, run=run, address=None, watch=Silent(), stack=stack),
            Corpus(shards=shards, rows="d", counts=RowCounts(rows=60)),
        )


def remember(folder: Path, task: LabelingTask, prompt: Prompt, *, variant: int, answer: str) -> None:
    """Put an answer into the run's ledger, so that nothing has to be sent for it."""
    spec = task.language_model
    assert spec is not None
    request = {
        "base_url": spec.base_url,
        "model": spec.model,
        "messages": list(prompt.messages),
        "temperature": spec.temperature,
        "max_output_tokens": spec.max_output_tokens,
        "variant": variant,
    }
    (folder / "run").mkdir(exist_ok=True)
    (folder / "run" / ".lock").touch()
    with Ledger.open(folder / "run" / "completions.sqlite") as ledger:
        worst = worst_case(prompt.system, prompt.user, max_output_tokens=10, price=None)
        reservation = ledger.reserve(request, worst=worst, budget=task.budget)
        entry = Entry(
            status="answered",
            answer=answer,
            problem=None,
            model="m",
            tokens_in=1,
            tokens_out=1,
            tokens_estimated=False,
            cost=None,
            currency=None,
        )
        ledger.record(reservation, entry)


def test_a_program_is_tried_once_and_what_it_did_is_kept(tmp_path: Path) -> None:
    """A second look, in this sitting or another, reads the file that the first one wrote."""
    with stage(tmp_path) as (ctx, corpus):
        trial = SampleTrial(ctx, corpus, rows=40)
        first = trial(GOOD.format("song"))
        assert len(trial.texts) == len(first.votes) == 40
        assert first.problems == ()
        (path,) = (tmp_path / "run" / "trials").iterdir()
    content = json.loads(path.read_text())
    content["trial"]["num_changed"] = 7
    path.write_text(json.dumps(content))
    with stage(tmp_path) as (ctx, corpus):
        again = SampleTrial(ctx, corpus, rows=40)(GOOD.format("song"))
    assert again.votes.tolist() == first.votes.tolist()
    assert "changes on 7 of 40 rows" in again.problems[0]


def test_a_model_is_not_told_what_stands_in_the_rows(tmp_path: Path) -> None:
    """The user reads the whole message of a fault; a model its kind, unless rows may be shown."""
    with stage(tmp_path) as (ctx, corpus):
        tried = SampleTrial(ctx, corpus, rows=60)(BROKEN)
    assert "KeyError" in tried.told[0]
    assert "0151" not in tried.told[0]
    assert "song" not in tried.told[0]
    assert "KeyError: 'a song" in tried.problems[0]
    with stage(tmp_path, synthesis={"show_rows": 3}) as (ctx, corpus):
        assert SampleTrial(ctx, corpus, rows=60)(BROKEN).told == tried.problems


def test_what_does_not_load_is_a_reason(tmp_path: Path) -> None:
    """Its top level saw no row, so the whole message may be told."""
    with stage(tmp_path) as (ctx, corpus):
        tried = SampleTrial(ctx, corpus, rows=60)("WORDS = {}['none']\n" + GOOD.format("song"))
    assert tried.problems == tried.told
    assert "does not load" in tried.told[0]
    assert "none" in tried.told[0]


def collected(folder: Path, **changes: Any) -> tuple[ProgramSet, dict[str, Any]]:
    with stage(folder, **changes) as (ctx, corpus):
        programs = collect(ctx, corpus)
        record = ctx.run.record("synthesis")
        assert record is not None
        figures: dict[str, Any] = record.result["figures"]
        admitted = admit(ctx, corpus, programs)
        assert admitted.programs.programs == programs.programs
        assert set(admitted.trials) == {program.name for program in programs.programs}
    return programs, figures


def test_a_run_from_the_ledger_repairs_and_sends_nothing(tmp_path: Path) -> None:
    """The endpoint is a closed port: every answer, of the repair too, comes from the ledger, and a broken one stays."""
    task = task_of(tmp_path)
    for variant, answer in enumerate((GOOD.format("song"), BROKEN)):
        remember(tmp_path, task, general(task, variant=variant), variant=variant, answer=answer)
    with stage(tmp_path) as (ctx, corpus):
        told = SampleTrial(ctx, corpus, rows=2000)(BROKEN).told
    question = general(task, variant=1)
    remember(tmp_path, task, repair(question, answer=BROKEN, reasons=told), variant=1, answer=GOOD.format("0151"))
    programs, figures = collected(tmp_path)
    assert [program.name for program in programs.programs] == ["program_00", "program_01"]
    assert figures == {"asked": 3, "usable_at_first": 1, "repaired": 1, "near_duplicates": 0, "stop": "count"}
    aside = (tmp_path / "run" / "programs" / "rejected" / "program_01.txt").read_text()
    assert "# answer 1 of 2" in aside
    assert BROKEN in aside
    texts = [program.text for program in programs.programs]
    # As after a kill before the record was written: the same answers give the same bytes.
    with stage(tmp_path) as (ctx, _):
        ctx.run.forget("synthesis")
        ctx.run.note(writing_programs=True)
    assert [program.text for program in collected(tmp_path)[0].programs] == texts


def test_nothing_usable_leaves_every_answer_behind(tmp_path: Path) -> None:
    """The run stops with the reasons, and what was paid can be read."""
    task = task_of(tmp_path, programs={"count": 1}, synthesis={"repairs": 0})
    remember(tmp_path, task, general(task, variant=0), variant=0, answer="I cannot.")
    with (
        stage(tmp_path, programs={"count": 1}, synthesis={"repairs": 0}) as (ctx, corpus),
        pytest.raises(ProgramRejected, match="I cannot"),
    ):
        collect(ctx, corpus)
    assert "I cannot." in (tmp_path / "run" / "programs" / "rejected" / "program_00.txt").read_text()
