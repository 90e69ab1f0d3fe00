"""What the votes on a sample show to be missing, and how a language model is told."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from engine.synthesis.feedback import Need, choose, frequent_words, look, needs, paragraph
from engine.task import LabelingTask


def task(**synthesis: object) -> LabelingTask:
    return LabelingTask.model_validate(
        {
            "name": "t",
            "data": {"source": "x.csv"},
            "classes": [{"name": "ham"}, {"name": "spam"}, {"name": "other"}],
            "instruction": "Label it.",
            "synthesis": synthesis,
        }
    )


def votes(*rows: tuple[int, ...]) -> np.ndarray:
    return np.array(rows, np.int8)


def test_a_label_matrix_is_summed_up() -> None:
    """Worked by hand on four rows: three covered, one settled, one contested between 0 and 1."""
    view = look(votes((0, 0, -1), (0, 1, -1), (-1, -1, -1), (1, -1, -1)), num_classes=3)
    assert (view.coverage, view.settled, view.conflict) == (0.75, 0.25, 0.25)
    assert view.classes.tolist() == [0.5, 0.5, 0.0]
    assert view.contested[0, 1] == 0.25
    assert view.contested.sum() == 0.25


def test_two_of_three_votes_settle_a_row_and_one_of_two_does_not() -> None:
    """The majority needs two thirds."""
    assert look(votes((0, 0, 1)), num_classes=2).settled == 1.0
    assert look(votes((0, 1, -1)), num_classes=2).settled == 0.0
    assert look(votes((0, -1, -1)), num_classes=2).settled == 0.0


def test_no_programs_cover_nothing() -> None:
    """Before the first program everything is missing, and nothing fails."""
    view = look(np.zeros((10, 0), np.int8), num_classes=2)
    assert (view.coverage, view.settled, view.conflict) == (0.0, 0.0, 0.0)
    assert [need.kind for need in needs(view)] == ["class", "class", "uncovered"]


def test_what_is_missing_is_found_in_order() -> None:
    """A class without votes comes first, then the larger of the uncovered and the contested rows."""
    matrix = votes(*[(0, 1)] * 30, *[(-1, -1)] * 20, *[(0, 0)] * 50)
    assert needs(look(matrix, num_classes=3)) == (
        Need(kind="class", classes=(2,), weight=1.0),
        Need(kind="conflict", classes=(0, 1), weight=0.3),
        Need(kind="uncovered", classes=(), weight=0.2),
    )


def test_nothing_is_missing_where_programs_agree_on_every_row() -> None:
    """Then a prompt says nothing of the votes."""
    assert needs(look(votes(*[(0, 0)] * 50, *[(1, 1)] * 50), num_classes=2)) == ()


def test_what_was_asked_for_gives_way_to_what_was_not() -> None:
    """A need that stays is asked for in turn with the others."""
    found = (Need(kind="class", classes=(2,), weight=1.0), Need(kind="uncovered", classes=(), weight=0.4))
    asked: Counter[tuple[str, tuple[int, ...]]] = Counter()
    kinds = []
    for _ in range(5):
        need = choose(found, asked)
        assert need is not None
        asked[need.kind, need.classes] += 1
        kinds.append(need.kind)
    assert kinds == ["class", "class", "uncovered", "class", "class"]
    assert choose((), asked) is None


def test_frequent_words_are_those_of_many_rows_and_of_few_others() -> None:
    """Words of all rows say nothing, and a word of a single row may be a name."""
    texts = ["the win now"] * 20 + ["the song here Smith"] * 4 + ["the song here"] * 16
    inside = np.arange(40) >= 20
    assert frequent_words(texts, inside) == ("here", "song")
    assert frequent_words(["Smith called"] * 4 + ["x"] * 100, np.arange(104) < 4) == ()


def test_a_class_without_votes_is_asked_for_alone() -> None:
    """The paragraph names the class and its index."""
    matrix = votes(*[(0, 1)] * 50)
    view = look(matrix, num_classes=3)
    text = paragraph(needs(view)[0], task=task(), view=view, votes=matrix, texts=["x"] * 50)
    assert "never answer 2 (other)" in text
    assert "return 2" in text


@pytest.mark.parametrize(("rows", "quoted"), [(0, 0), (2, 2), (50, 20)])
def test_rows_are_quoted_only_where_the_task_allows(rows: int, quoted: int) -> None:
    """Without `show_rows` words alone are told, and with it so many of the rows that are meant."""
    texts = [f"covered {i}" for i in range(80)] + [f"melody without\na cue {i}" for i in range(20)]
    matrix = votes(*[(0, 1)] * 80, *[(-1, -1)] * 20)
    view = look(matrix, num_classes=3)
    need = Need(kind="uncovered", classes=(), weight=0.2)
    text = paragraph(need, task=task(show_rows=rows), view=view, votes=matrix, texts=texts)
    assert "abstain on 20% of the rows" in text
    assert "cue, melody, without" in text
    assert text.count("melody without a cue ") == quoted
    assert "covered" not in text


def test_a_conflict_names_both_classes() -> None:
    """What is told of it are rows with votes for both."""
    matrix = votes(*[(0, 1)] * 50, *[(0, 0)] * 50)
    view = look(matrix, num_classes=3)
    need = next(need for need in needs(view) if need.kind == "conflict")
    text = paragraph(need, task=task(), view=view, votes=matrix, texts=["irony"] * 50 + ["plain"] * 50)
    assert "between 0 (ham) and 1 (spam)" in text
    assert "irony" in text
    assert "plain" not in text
