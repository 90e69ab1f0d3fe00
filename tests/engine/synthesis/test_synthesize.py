"""The loop: repairs, copies, what is missing, and that it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import LLMError, LLMRefused
from engine.synthesis.ledger import Ledger
from engine.synthesis.llm import OpenAIModel, ScriptedLLM
from engine.synthesis.outcome import Synthesis
from engine.synthesis.synthesize import synthesize
from engine.synthesis.trial import Tried
from engine.task import LabelingTask

TEXTS = [f"{'spam' if row % 2 else 'ham'} text number {row}" for row in range(40)]
PROSE = "I cannot write programs."


def keyword(word: str, vote: int = 1) -> str:
    return f"```python\ndef label_function(text):\n    return {vote} if {word!r} in text else -1\n```"


class Sample:
    """A trial that runs programs in this process; what `verdicts` names by a word in the source is a problem."""

    def __init__(self, texts: Sequence[str] = TEXTS, **verdicts: str) -> None:
        self.texts = texts
        self.verdicts = verdicts
        self.tried: list[str] = []

    def __call__(self, program: str) -> Tried:
        self.tried.append(program)
        namespace: dict[str, Any] = {}
        exec(program, namespace)  # noqa: S102 - these are the programs of this file
        call: Callable[[str], int] = namespace["label_function"]
        votes = np.array([call(text) for text in self.texts], np.int8)
        problems = tuple(reason for word, reason in self.verdicts.items() if word in program)
        return Tried(votes=votes, problems=problems, told=tuple(f"told: {p}" for p in problems))


def task(**synthesis: object) -> LabelingTask:
    return LabelingTask.model_validate(
        {
            "name": "t",
            "data": {"source": "x.csv"},
            "classes": [{"name": "ham"}, {"name": "spam"}],
            "instruction": "Label it.",
            "synthesis": synthesis,
        }
    )


def run(
    *answers: str | LLMError, count: int, trial: Sample | None = None, **synthesis: object
) -> tuple[Synthesis, ScriptedLLM]:
    model = ScriptedLLM(answers, in_order=True)
    return synthesize(task(**synthesis), model, count=count, trial=trial), model


def test_prose_is_answered_with_the_reason_and_the_repair_is_kept() -> None:
    """The second question holds the first, what was answered and why it is no good."""
    done, model = run(PROSE, keyword("spam"), count=1)
    assert [program.name for program in done.programs] == ["program_00"]
    assert done.counts() == {"asked": 2, "usable_at_first": 0, "repaired": 1, "near_duplicates": 0}
    first, second = (prompt.user for prompt in model.prompts)
    assert second.startswith(first)
    assert PROSE in second
    assert "no Python function label_function" in second
    (failure,) = done.slots[0].failures
    assert failure.answer == PROSE


def test_a_program_that_fails_its_trial_is_sent_back_with_what_may_be_told() -> None:
    """Reasons for people and reasons for the model are two things."""
    trial = Sample(slow="it takes 9 ms a row, such as 'a row'")
    done, model = run(keyword("slow spam"), keyword("spam"), count=1, trial=trial)
    assert done.counts()["repaired"] == 1
    assert "told: it takes 9 ms" in model.prompts[1].user
    assert "slow spam" in model.prompts[1].user
    assert done.slots[0].failures[0].reasons == ("it takes 9 ms a row, such as 'a row'",)


def test_what_stays_broken_is_kept_aside_with_each_answer() -> None:
    """After the last repair the place stays empty, and nothing that was answered is lost."""
    answers = [PROSE, "import os\ndef label_function(text):\n    return 1\n", "no"]
    done, _ = run(*answers, keyword("spam"), count=2, repairs=2)
    assert [slot.name for slot in done.rejected] == ["program_00"]
    assert [failure.answer for failure in done.slots[0].failures] == answers
    assert "'no'" in done.slots[0].reasons[0]
    assert [program.name for program in done.programs] == ["program_01"]


def test_the_same_broken_answer_twice_leads_to_another_approach() -> None:
    """The third question would be the second again, word for word."""
    done, model = run(PROSE, PROSE, keyword("spam"), count=1, repairs=2)
    assert done.counts()["repaired"] == 1
    first, second, third = (prompt.user for prompt in model.prompts)
    assert second.startswith(first)
    assert "turned away" not in third
    assert third != first


def test_a_model_that_never_writes_a_program_is_not_asked_for_ever() -> None:
    """Each place is asked for once and as often again as repairs are allowed."""
    done, model = run(*[PROSE] * 99, count=3, repairs=5)
    assert [len(slot.failures) for slot in done.slots] == [6, 6, 6]
    assert len(model.prompts) == 18


def test_without_repairs_each_program_is_asked_for_once() -> None:
    """`repairs: 0` is one request a program."""
    done, model = run(PROSE, keyword("spam"), PROSE, count=3, repairs=0)
    assert len(model.prompts) == 3
    assert len(done.programs) == 1


@pytest.mark.parametrize("vote", ["-1", "1"])
def test_a_program_that_says_nothing_is_sent_back(vote: str) -> None:
    """One that abstains on every row, or answers the same for every row, tells a label model nothing."""
    silent = f"def label_function(text):\n    return {vote} if text else {vote}\n"
    done, model = run(silent, keyword("spam"), count=1, trial=Sample())
    assert done.counts()["repaired"] == 1
    assert "every one of 40 rows" in model.prompts[1].user


def test_a_copy_is_refused_and_another_approach_asked_for() -> None:
    """Renamed variables hide nothing; the new question is no repair, and names the cues to leave aside."""
    renamed = "def label_function(row):\n    return 1 if 'spam' in row else -1\n"
    done, model = run(keyword("spam"), renamed, keyword("ham", 0), count=2)
    assert done.counts() == {"asked": 3, "usable_at_first": 1, "repaired": 0, "near_duplicates": 1}
    assert [program.name for program in done.programs] == ["program_00", "program_01"]
    question = model.prompts[2].user
    assert "turned away" not in question
    assert "Leave aside these cues, on which that program rests: spam." in question
    assert "nearly the same program as program_00" in done.slots[1].failures[0].reasons[0]


def test_equal_votes_are_a_copy_whatever_the_code() -> None:
    """Every row with "spam" in it begins with it."""
    other = "def label_function(text):\n    words = text.split()\n    return 1 if words[:1] == ['spam'] else -1\n"
    done, _ = run(keyword("spam"), other, keyword("ham", 0), count=2, trial=Sample())
    assert done.counts()["near_duplicates"] == 1
    assert "votes as program_00" in done.slots[1].failures[0].reasons[0]


def test_without_diversity_only_the_very_same_program_is_refused() -> None:
    """The same bytes would be the same column twice; anything else is the label model's business."""
    renamed = "def label_function(row):\n    return 1 if 'spam' in row else -1\n"
    done, model = run(keyword("spam"), renamed, keyword("spam"), PROSE, PROSE, count=3, trial=Sample(), diversity=False)
    assert [program.name for program in done.programs] == ["program_00", "program_01"]
    assert done.counts()["near_duplicates"] == 1
    assert not any("needed most" in prompt.user for prompt in model.prompts[:3])


def test_a_model_that_only_repeats_itself_is_not_asked_for_ever() -> None:
    """Each place is asked for at most once and as often again as repairs are allowed."""
    done, model = run(*[keyword("spam")] * 100, count=10, repairs=2)
    assert len(done.programs) == 1
    assert len(model.prompts) == 1 + 9 * 3


def test_what_is_missing_is_asked_for_once_there_are_programs_to_look_at() -> None:
    """Three programs for one class leave the other to be asked for."""
    answers = [keyword("spam"), keyword("number 1"), keyword("number 3"), keyword("ham", 0)]
    _, model = run(*answers, count=4, trial=Sample())
    assert not any("needed most" in prompt.user for prompt in model.prompts[:3])
    assert "never answer 0 (ham)" in model.prompts[3].user


def test_no_row_is_quoted_unless_the_task_says_so() -> None:
    """With 10 rows allowed a prompt holds some, and without none."""
    texts = [f"spam {row}" if row < 20 else f"a melody nobody names {row}" for row in range(60)]
    answers = [keyword("spam 1", 0), keyword("spam"), keyword("spam 3", 0), keyword("spam 4", 0)]
    for rows, quoted in ((0, False), (3, True)):
        _, model = run(*answers, count=4, trial=Sample(texts), show_rows=rows)
        assert ("a melody nobody names" in model.prompts[3].user) is quoted
        assert "melody" in model.prompts[3].user


def test_it_stops_where_programs_bring_nothing_more() -> None:
    """Two programs settle every row; after two more without growth no more are asked for."""
    answers = [
        "def label_function(text):\n    return 1 if 'spam' in text else 0\n",
        "def label_function(text):\n    return -1 if text.endswith('7') else int(text[:1] == 's')\n",
        keyword("number 39"),
        keyword("number 38", 0),
        *[PROSE] * 50,
    ]
    done, _ = run(*answers, count=20, trial=Sample(), patience=2)
    assert done.stop == "no_growth"
    assert len(done.slots) == 4
    done, _ = run(*answers, count=6, trial=Sample(), patience=0)
    assert done.stop == "count"
    assert len(done.slots) == 6


def test_an_answer_that_never_comes_is_an_error() -> None:
    """What stops the asking is raised; the ledger keeps what was answered."""
    with pytest.raises(LLMError, match="is down"):
        run(keyword("spam"), LLMError("the endpoint is down"), count=3)


def test_a_repair_that_the_endpoint_refuses_costs_one_program_alone() -> None:
    """A small context may hold a question and not its repair; the other programs are still asked for."""
    done, _ = run(PROSE, LLMRefused("the context holds 4096 tokens"), keyword("spam"), count=2)
    assert [program.name for program in done.programs] == ["program_01"]
    assert "the context holds 4096 tokens" in done.rejected[0].reasons[-1]


def test_a_first_question_that_the_endpoint_refuses_is_an_error() -> None:
    """No other question would fare better, so the user is told at once."""
    with pytest.raises(LLMRefused, match="context"):
        run(LLMRefused("the context holds 100 tokens"), keyword("spam"), count=2)


def test_a_rerun_sends_nothing_and_gives_the_same_programs(server: Any, tmp_path: Path) -> None:
    """Repairs and replaced copies are in the ledger like any other answer, headers and all."""
    renamed = "def label_function(row):\n    return 1 if 'spam' in row else -1\n"
    server.script = [server.answer(text) for text in (PROSE, keyword("spam"), renamed, keyword("ham", 0), keyword("1"))]
    outcomes = []
    for _ in range(2):
        with (
            Ledger.open(tmp_path / "completions.sqlite") as ledger,
            OpenAIModel(server.spec(), ledger, task().budget) as model,
        ):
            outcomes.append(synthesize(task(), model, count=3, trial=Sample()))
    assert len(server.requests) == 5
    assert [p.text for p in outcomes[0].programs] == [p.text for p in outcomes[1].programs]
    assert outcomes[0].slots == outcomes[1].slots
    assert outcomes[1].counts() == {"asked": 5, "usable_at_first": 1, "repaired": 1, "near_duplicates": 1}


def test_a_killed_loop_goes_on_from_the_ledger(server: Any, tmp_path: Path) -> None:
    """What was answered before the end is not asked again, and the programs are those of a loop that was not killed."""
    server.script = [server.answer(text) for text in (PROSE, keyword("spam"), keyword("ham", 0))]

    def synthesized(stop_after: int | None) -> Synthesis:
        def count_down(answered: int) -> None:
            if answered == stop_after:
                raise KeyboardInterrupt

        with (
            Ledger.open(tmp_path / "completions.sqlite") as ledger,
            OpenAIModel(server.spec(), ledger, task().budget) as model,
        ):
            return synthesize(task(), model, count=2, trial=Sample(), on_answer=count_down)

    with pytest.raises(KeyboardInterrupt):
        synthesized(1)
    assert len(server.requests) == 2
    done = synthesized(None)
    assert len(server.requests) == 3
    assert [program.name for program in done.programs] == ["program_00", "program_01"]
    assert done.view is not None
    assert done.view.coverage == 1.0
