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


def test_the_model_is_told_to_be_brief_and_the_user_to_allow_more() -> None:
    """The model cannot raise a limit; and it is not shown its whole loop, which would invite it to go on."""
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
    assert "much shorter program" in model.asked[1]
    assert "max_output_tokens" not in model.asked[1]
    assert len(model.asked[1]) < len(model.asked[0]) + 1500
