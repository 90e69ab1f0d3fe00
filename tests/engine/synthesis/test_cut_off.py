"""An answer that reached the limit of tokens: what the user is told of it, and what the model."""

from __future__ import annotations

from engine.synthesis.llm import Completion, UnusableAnswer
from engine.synthesis.prompts import Prompt
from engine.synthesis.synthesize import synthesize
from engine.task import LabelingTask

PROBLEM = "the answer is cut off at 700 tokens; raise `max_output_tokens`"
LOOP = "```python\nimport re\nHAM = re.compile('" + "or|so|" * 300
GOOD = "```python\ndef label_function(text):\n    return 1 if 'win' in text else -1\n```"


class _Loops:
    """Repeats itself until it is cut off, and once it is asked again answers well."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def complete(self, prompt: Prompt, *, variant: int) -> Completion:
        self.asked.append(prompt.user)
        text = LOOP if len(self.asked) == 1 else GOOD
        completion = Completion(
            text=text,
            tokens_in=1,
            tokens_out=1,
            tokens_estimated=False,
            model="small",
            cached=False,
            cost=None,
            currency=None,
        )
        if text == LOOP:
            raise UnusableAnswer(PROBLEM, completion)
        return completion


def test_another_approach_is_asked_for_briefly_and_the_user_told_to_allow_more() -> None:
    """The model cannot raise a limit; and it sees nothing of its loop, which would invite it to go on."""
    task = LabelingTask.model_validate(
        {
            "name": "t",
            "data": {"source": "x.csv"},
            "classes": [{"name": "ham"}, {"name": "spam"}],
            "instruction": "Label it.",
        }
    )
    model = _Loops()
    done = synthesize(task, model, count=1)
    assert done.counts()["repaired"] == 1
    assert done.slots[0].failures[0].reasons == (PROBLEM,)
    first, second = model.asked
    assert "at most forty lines" in second
    assert "max_output_tokens" not in second
    assert "or|so|" not in second
    ways = [next(line for line in asked.splitlines() if line.startswith("The approach")) for asked in (first, second)]
    assert ways[0].split(": ")[1] != ways[1].split(": ")[1]


def test_the_limit_of_the_answer_is_told() -> None:
    """A model that knows its room can keep to it."""
    task = LabelingTask.model_validate(
        {
            "name": "t",
            "data": {"source": "x.csv"},
            "classes": [{"name": "ham"}, {"name": "spam"}],
            "instruction": "Label it.",
            "language_model": {"model": "small", "max_output_tokens": 600},
        }
    )
    model = _Loops()
    synthesize(task, model, count=1)
    assert "has to fit into 600 tokens, about 50 lines" in model.asked[0]
