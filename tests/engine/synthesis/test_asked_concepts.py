"""A language model is asked for concepts until an answer is of use, and told why one was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import LLMError
from engine.synthesis.asked_concepts import ask_concepts, question
from engine.synthesis.completion import Completion
from engine.synthesis.concepts import read_concepts
from engine.synthesis.knowledge import question as knowledge_question
from engine.synthesis.llm import ScriptedLLM, UnusableAnswer
from engine.task import LabelingTask
from operators.featurizer import Traits

GOOD = """\
concepts:
  - name: feet
    descriptions: {land: claws, water: webs}
  - name: place
    spurious: true
    descriptions: {land: a forest, water: a lake}
"""

TASK = LabelingTask(
    name="birds",
    modality="image",
    data={"source": "images"},
    classes=[{"name": "land"}, {"name": "water"}],
    instruction="Label birds.",
    scoring={"num_concepts": 7},
)

EMPTY = UnusableAnswer(
    "the answer is empty",
    Completion(
        text="",
        tokens_in=1,
        tokens_out=0,
        tokens_estimated=False,
        model="scripted",
        cached=False,
        cost=None,
        currency=None,
    ),
)


def test_the_answer_is_a_file_to_edit(tmp_path: Path) -> None:
    """The question names number, classes and surroundings; the file reads back as the answer."""
    model, path = ScriptedLLM([f"Here they are:\n```yaml\n{GOOD}```\n"]), tmp_path / "concepts.yaml"
    found = ask_concepts(TASK, model, path=path)
    assert found == read_concepts(path, class_names=TASK.class_names)
    assert found.excluded == ("place",)
    asked = model.prompts[0].user
    assert "about 7 visual concepts" in asked
    assert '"land"' in asked
    assert "spurious: true" in asked


def test_one_form_of_answer_is_asked_for() -> None:
    """YAML alone for concepts, words without code for knowledge; each question ends with its own form."""
    concepts, rules = question(TASK).user, knowledge_question(TASK, kind="rules").user
    assert "Answer with YAML alone" in concepts
    assert "Markdown" not in concepts
    assert "500 words" not in concepts
    assert concepts.endswith('"water": "..."')
    assert rules.endswith("Answer in plain text or Markdown, without code, in at most 500 words.")
    assert "YAML" not in rules


def test_a_featurizer_that_is_no_clip_is_asked_for_what_it_can_score() -> None:
    """What a row is called, and the only descriptions that there are."""
    asked = question(TASK, traits=Traits(row="recording", texts=("low", "high"))).user
    assert "Each row is one recording" in asked
    assert "image" not in asked
    assert '  "low"\n  "high"\n' in asked


@pytest.mark.parametrize(
    ("bad", "reason", "told"),
    [
        ("I cannot see images.", "expected `concepts:`", "| I cannot see images."),
        ("concepts: [{name: a}]", "descriptions", "| concepts: [{name: a}]"),
        ("```yaml\n[\n```", "it is no YAML", "| ["),
        ("when: 2001-99-99", "it is no YAML", "| when:"),
        ("[" * 5000, "it is no YAML", "| [["),
        (EMPTY, "the answer is empty", "it was empty"),
    ],
)
def test_an_answer_of_no_use_is_sent_back_with_the_reason(tmp_path: Path, bad, reason: str, told: str) -> None:
    """The second question is another one, holds the first, the answer and why it was turned away; its answer counts."""
    model = ScriptedLLM([bad, GOOD])
    found = ask_concepts(TASK, model, path=tmp_path / "concepts.yaml")
    assert [concept.name for concept in found.used] == ["feet"]
    first, second = (prompt.user for prompt in model.prompts)
    assert second.startswith(first)
    assert reason in second
    assert told in second


def test_who_never_answers_well_is_an_error(tmp_path: Path) -> None:
    """As many repairs as the task allows; then nothing is written, and the message says what to do."""
    for repairs in (0, 2):
        task = TASK.model_copy(update={"synthesis": TASK.synthesis.model_copy(update={"repairs": repairs})})
        model = ScriptedLLM(["no"] * 5)
        with pytest.raises(LLMError, match=rf"asked {repairs + 1} times.*write .*concepts.yaml yourself"):
            ask_concepts(task, model, path=tmp_path / "concepts.yaml")
        assert len(model.prompts) == repairs + 1
    assert not (tmp_path / "concepts.yaml").exists()
