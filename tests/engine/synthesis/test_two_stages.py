"""Stage one and the programs together, against a server: what is sent, paid, kept and sent again."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from engine.stages.context import Context
from engine.stages.programs import collect
from engine.stages.stream import Silent
from engine.store import RunDirectory
from engine.synthesis.ledger import Ledger
from engine.task import LabelingTask


def run(tmp_path: Path, server: Any, **changes: Any) -> list[str]:
    scholar = server.spec(model="scholar", price={"input_per_million": 100.0, "output_per_million": 0.0})
    values: dict[str, Any] = {
        "name": "t",
        "data": {"source": "x.csv"},
        "classes": [{"name": "ham"}, {"name": "spam"}],
        "instruction": "Label a comment.",
        "programs": {"count": 2},
        "language_model": server.spec().model_dump(),
        "synthesis": {
            "strategies": ["rules"],
            "repairs": 0,
            "diversity": False,
            "stages": "two",
            "knowledge_model": scholar.model_dump(),
            "documents": [str(tmp_path / "guide.md")],
        },
    }
    task = LabelingTask.model_validate(values | changes)
    with ExitStack() as stack:
        directory = stack.enter_context(RunDirectory(tmp_path / "run"))
        ctx = Context(task=task, run=directory, address=None, watch=Silent(), stack=stack)
        collect(ctx)
        return ctx.warnings


def asked(server: Any) -> list[tuple[str, str]]:
    return [(request["model"], request["messages"][1]["content"]) for request in server.requests]


@pytest.mark.slow
def test_one_model_is_asked_for_knowledge_and_another_for_programs(tmp_path: Path, server: Any) -> None:
    """Each is paid at its own price from one ledger; a second run sends nothing; an edit asks for programs alone."""
    (tmp_path / "guide.md").write_text("Spam has links.\n")
    code = "```python\ndef label_function(text):\n    return {}\n```"
    server.script = [server.answer("Links mean spam."), server.answer(code.format(1)), server.answer(code.format(0))]
    run(tmp_path, server)
    (first, question), *programs = asked(server)
    assert first == "scholar"
    assert "| [guide.md, line 1]\n|   Spam has links." in question
    assert [model for model, _ in programs] == ["model", "model"]
    assert all("| Links mean spam." in user and "Spam has links" not in user for _, user in programs)
    with Ledger.open(tmp_path / "run" / "completions.sqlite") as ledger:
        # 300 tokens in at 100 dollars a million, and twice 300 in and 100 out at 1 and 2.
        assert ledger.totals().cost == pytest.approx(0.03 + 2 * 0.0005)

    run(tmp_path, server)
    assert len(server.requests) == 3

    path = tmp_path / "run" / "knowledge" / "rules.md"
    path.write_text(path.read_text().replace("Links mean spam.", "Only shouting is spam."))
    server.script = [server.answer()] * 3 + [server.answer(code.format(1)), server.answer(code.format(-1))]
    run(tmp_path, server)
    again = asked(server)[3:]
    assert [model for model, _ in again] == ["model", "model"]
    assert all("| Only shouting is spam." in user for _, user in again)


@pytest.mark.slow
def test_documents_that_have_nothing_to_do_with_the_task_are_told(tmp_path: Path, server: Any) -> None:
    """None is quoted, and the user hears of it."""
    (tmp_path / "guide.md").write_text("Zebras.\n")
    documents = {"documents": [str(tmp_path / "guide.md")]}
    warnings = run(tmp_path, server, synthesis=documents, programs={"count": 1})
    assert any("shares a word" in warning for warning in warnings)
    assert "Zebras" not in asked(server)[0][1]
