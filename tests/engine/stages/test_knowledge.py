"""What a run knows before it asks for programs: rows that may be shown, and what makes it ask again."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.stages.context import Context
from engine.stages.corpus import Corpus, plan
from engine.stages.knowledge import prepare, state
from engine.stages.stream import Silent
from engine.store import RunDirectory
from engine.synthesis.ledger import Ledger
from engine.task import LabelingTask
from operators.rows import IndexShard, RowCounts, SplitRule


def made(tmp_path: Path, stack: ExitStack, **synthesis: object) -> tuple[Context, Corpus]:
    lines = [f"{kind} row {row} {'x' * 600},{kind}" for row in range(30) for kind in ("train", "test")]
    (tmp_path / "rows.csv").write_text("\n".join(["text,split", *lines]) + "\n")
    task = LabelingTask.model_validate(
        {
            "name": "t",
            "data": {"source": str(tmp_path / "rows.csv"), "split_column": "split"},
            "classes": [{"name": "ham"}, {"name": "spam"}],
            "instruction": "Label a comment.",
            "synthesis": {"strategies": ["examples"]} | synthesis,
        }
    )
    run = stack.enter_context(RunDirectory(tmp_path / "run"))
    rule = SplitRule(column="split", train_values=("train",), test_values=("test",), fraction=0.0)
    shards = tuple(plan(task))
    index = IndexShard(folder=str(run.path), digest="d", text="text", id_column=None, split=rule)
    for shard in shards:
        index(shard.to_json())
    context = Context(task=task, run=run, address=None, watch=Silent(), stack=stack)
    return context, Corpus(shards=shards, rows="d", counts=RowCounts())


def test_rows_are_shown_on_request_alone_and_said_aloud(tmp_path: Path) -> None:
    """Training rows, cut, as many as the task says; the user is told that they leave the machine."""
    with ExitStack() as stack:
        ctx, corpus = made(tmp_path, stack, show_rows=5)
        ledger = stack.enter_context(Ledger.open(":memory:"))
        rows = prepare(ctx, corpus, ledger)["rows"].splitlines()
        assert len(rows) == 5
        assert all(row.startswith("- train row ") and len(row) < 520 for row in rows)
        assert any("leave this machine" in warning for warning in ctx.warnings)


def test_no_row_is_shown_unasked(tmp_path: Path) -> None:
    """By default nothing of the corpus is read here."""
    with ExitStack() as stack:
        ctx, corpus = made(tmp_path, stack)
        assert prepare(ctx, corpus, stack.enter_context(Ledger.open(":memory:"))) == {}
        assert ctx.warnings == []


def test_an_edit_of_a_document_or_of_knowledge_changes_the_state(tmp_path: Path) -> None:
    """Programs that rest on either are then asked for anew; a missing document is an error."""
    guide = tmp_path / "guide.md"
    guide.write_text("Links.")
    with ExitStack() as stack:
        ctx, corpus = made(tmp_path, stack, documents=[str(guide)])
        states = [state(ctx, corpus)]
        assert state(ctx, corpus) == states[0]
        guide.write_text("Offers.")
        states.append(state(ctx, corpus))
        (ctx.run.path / "knowledge").mkdir()
        (ctx.run.path / "knowledge" / "examples.md").write_text("mine")
        states.append(state(ctx, corpus))
        assert states[0] != states[1] != states[2]
        guide.unlink()
        with pytest.raises(ConfigError, match=r"guide\.md: no such document"):
            state(ctx, corpus)
