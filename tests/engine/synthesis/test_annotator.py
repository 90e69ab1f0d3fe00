"""The annotator's question, and the strict reading of its answer."""

from __future__ import annotations

import pytest

from engine.synthesis.annotator import label_in, question
from engine.task import LabelingTask


def task(*classes: str) -> LabelingTask:
    return LabelingTask.model_validate(
        {
            "name": "t",
            "data": {"source": "x.csv"},
            "classes": [{"name": name, "gold_values": [f"gold-{name}"]} for name in classes],
            "instruction": "Label it.",
        }
    )


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("1", 1),
        (" 0.\n", 0),
        ("**SPAM**", 1),
        ("<think>is it 0? no</think>1", 1),
        ("2", None),
        ("-1", None),
        ("1 0", None),
        ("spam or ham", None),
        ("Class 1", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_an_answer_is_a_class_and_nothing_else(answer: str, label: int | None) -> None:
    """Name or number; anything more is no label, since picking one out would be a guess."""
    assert label_in(task("ham", "spam"), answer) == label


def test_classes_that_are_numbers_are_asked_for_by_name() -> None:
    """Stars 1 to 3 have the indices 0 to 2, so an index would be read as a star."""
    stars = task("1", "2", "3")
    assert [label_in(stars, answer) for answer in ("1", "3", "0")] == [0, 2, None]
    assert "the name of one class" in question(stars, "x").system


def test_the_question_shows_the_row_and_no_gold() -> None:
    """Task, classes and text are there; the values of the gold column are not."""
    asked = question(task("ham", "spam"), "a {{ row }} here")
    assert "a {{ row }} here" in asked.user
    assert "0: ham\n1: spam\n" in asked.user
    assert "gold-" not in asked.user + asked.system
