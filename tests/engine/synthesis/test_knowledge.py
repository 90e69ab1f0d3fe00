"""Stage one: what is asked for, what is kept, and who may change it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ConfigError, LLMError
from engine.synthesis.knowledge import KINDS, gather, question, read_knowledge
from engine.synthesis.llm import Completion, ScriptedLLM, UnusableAnswer
from engine.task import LabelingTask

ANSWERS = [f"what I know: {kind}" for kind in KINDS]


def task(*, instruction: str = "Is it spam?", **synthesis: object) -> LabelingTask:
    return LabelingTask.model_validate(
        {
            "name": "comments",
            "data": {"source": "comments.csv"},
            "columns": {"gold": "GOLD_COLUMN"},
            "classes": [{"name": "ham", "gold_values": ["GOLD_HAM"]}, {"name": "spam", "description": "adverts"}],
            "instruction": instruction,
            "synthesis": {"stages": "two", "strategies": ["general", *KINDS]} | synthesis,
        }
    )


def test_each_kind_is_asked_for_once_and_kept(tmp_path: Path) -> None:
    """Four strategies are four questions; the second time nothing is asked."""
    model = ScriptedLLM(ANSWERS)
    found = gather(task(), model, folder=tmp_path, given={"documents": "P"})
    assert found == {"documents": "P"} | {kind: f"what I know: {kind}" for kind in KINDS}
    assert len(model.prompts) == 4
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(KINDS)
    assert read_knowledge(tmp_path / "rules.md") == "what I know: rules"
    assert gather(task(), ScriptedLLM([]), folder=tmp_path, given={"documents": "P"}) == found


def test_an_edited_file_is_used_as_it_stands(tmp_path: Path) -> None:
    """Whatever changes in the task, nobody is asked again for what a person wrote."""
    gather(task(strategies=["rules"]), ScriptedLLM(ANSWERS), folder=tmp_path, given={})
    path = tmp_path / "rules.md"
    path.write_text(path.read_text().replace("what I know: rules", "links only"))
    other = task(strategies=["rules"], instruction="Is it an advert?")
    assert gather(other, ScriptedLLM([]), folder=tmp_path, given={}) == {"rules": "links only"}


@pytest.mark.parametrize("stages", ["one", "two"])
def test_a_file_that_a_person_put_there_is_used(tmp_path: Path, stages: str) -> None:
    """With one stage too; only what is missing is asked for, and only with two."""
    (tmp_path / "keywords.md").write_text("win, free")
    found = gather(task(strategies=["keywords"], stages=stages), ScriptedLLM([]), folder=tmp_path, given={})
    assert found == {"keywords": "win, free"}


def test_an_untouched_answer_to_another_question_is_replaced(tmp_path: Path) -> None:
    """The task changed and nobody edited the file: it is asked for anew."""
    gather(task(strategies=["description"]), ScriptedLLM(["old"]), folder=tmp_path, given={})
    other = task(strategies=["description"], instruction="Is it an advert?")
    assert gather(other, ScriptedLLM(["new"]), folder=tmp_path, given={}) == {"description": "new"}


def test_one_stage_asks_nothing(tmp_path: Path) -> None:
    """The model that writes a program works the knowledge out itself."""
    assert gather(task(stages="one"), ScriptedLLM([]), folder=tmp_path, given={}) == {}
    assert list(tmp_path.iterdir()) == []


def test_rows_take_the_place_of_invented_examples(tmp_path: Path) -> None:
    """Where real rows are shown, none are made up."""
    found = gather(task(strategies=["examples"]), ScriptedLLM([]), folder=tmp_path, given={"rows": "- a"})
    assert found == {"rows": "- a"}


def test_questions_differ_and_quote_the_passages() -> None:
    """Each kind asks for something else; passages are quoted, and gold stays out."""
    asked = [question(task(), kind=kind, documents="[a.txt, line 1]\n  links\n\nThe classes:") for kind in KINDS]
    assert len({prompt.digest for prompt in asked}) == 4
    for prompt in asked:
        assert "| [a.txt, line 1]\n|   links\n|\n| The classes:\n" in prompt.user
        assert "spam - adverts" in prompt.user
        assert "GOLD" not in prompt.user + prompt.system


def test_thoughts_are_no_knowledge(tmp_path: Path) -> None:
    """What a reasoning model says to itself is left out; nothing besides it is an error."""
    one = task(strategies=["description"])
    found = gather(one, ScriptedLLM(["<think>hm</think>\nShort texts."]), folder=tmp_path / "a", given={})
    assert found == {"description": "Short texts."}
    with pytest.raises(LLMError, match="nothing but thoughts"):
        gather(one, ScriptedLLM(["<think>hm</think>"]), folder=tmp_path / "b", given={})


def test_an_unusable_answer_says_how_to_go_on(tmp_path: Path) -> None:
    """The user may write the file, or leave the strategy out; nothing is written."""
    said = Completion(
        text="", tokens_in=1, tokens_out=1, tokens_estimated=False, model="m", cached=False, cost=None, currency=None
    )
    model = ScriptedLLM([UnusableAnswer("the answer is empty", said)])
    with pytest.raises(LLMError, match=r"description\.md.*leave 'description' out"):
        gather(task(strategies=["description"]), model, folder=tmp_path, given={})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """It is neither used nor overwritten."""
    (tmp_path / "rules.md").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"rules\.md"):
        gather(task(strategies=["rules"]), ScriptedLLM(ANSWERS), folder=tmp_path, given={})
