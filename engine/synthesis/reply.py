"""An answer of a chat-completions endpoint, read strictly.

The `openai` client builds its objects without checking them, and many servers speak the protocol only
roughly, so the body is checked here once: what is missing is None afterwards, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, Field, ValidationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an endpoint answered.

    Attributes:
        text: "" where the model said nothing.
        problem: why the answer is unusable; None for a good one.
        model: as the endpoint names it, None if it does not.
        tokens_in: None where the endpoint reports no usage.
        tokens_out: None where the endpoint reports no usage.
    """

    text: str
    problem: str | None
    model: str | None
    tokens_in: int | None
    tokens_out: int | None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Body(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None
    model: str | None = None


def read_reply(body: str, *, max_output_tokens: int) -> Reply:
    """Read the body of a response.

    Args:
        body: as it came.
        max_output_tokens: named in the problem of an answer that was cut off there.

    Raises:
        ValueError: the body is no chat completion; the message says what is wrong in it.
    """
    try:
        content = _Body.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "JSON"
        raise ValueError(f"{where}: {problem['msg']}") from None
    choice, usage = content.choices[0], content.usage or _Usage()
    return Reply(
        text=choice.message.content or "",
        problem=_problem(choice, max_output_tokens),
        model=content.model,
        tokens_in=usage.prompt_tokens,
        tokens_out=usage.completion_tokens,
    )


def _problem(choice: _Choice, max_output_tokens: int) -> str | None:
    if choice.finish_reason == "content_filter":
        return "the endpoint's content filter stopped the answer; change the instruction or the model"
    if choice.message.refusal:
        return f"the model refuses: {choice.message.refusal[:200]!r}; change the instruction or the model"
    if choice.finish_reason == "length":
        return (
            f"the answer is cut off at {max_output_tokens} tokens; raise `language_model.max_output_tokens` "
            "(a model that thinks first spends some of them on that)"
        )
    if not (choice.message.content or "").strip():
        return "the answer is empty; change the instruction or the model"
    return None
