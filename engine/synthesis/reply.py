"""An answer of an endpoint, read strictly.

The vendors' clients build their objects without checking them, and many servers speak the protocol only roughly, so
the body is checked here once: what is missing is None afterwards, never a guess.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, ValidationError

logger = logging.getLogger(__name__)

MAX_ANSWER_CHARS = 1_000_000
"""A longer answer is kept cut off there and is unusable: no program and no label is so long."""

CUT_OFF = "the answer is cut off"
"""How the problem of an answer begins that reached the limit of tokens."""

_SLACK_TOKENS = 10_000
"""What an endpoint may add to a request or an answer by itself: a system prompt of its own, thoughts it hides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an endpoint answered.

    Attributes:
        text: "" where the model said nothing.
        problem: why the answer is unusable; None for a good one.
        model: as the endpoint names it, None if it does not.
        tokens_in: None where the endpoint reports no usage, or one that cannot be.
        tokens_out: likewise.
    """

    text: str
    problem: str | None
    model: str | None
    tokens_in: int | None
    tokens_out: int | None


class _Message(BaseModel):
    content: str | list[Any] | None = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    function_call: Any = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Body(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None
    model: str | None = None


class _MessageBody(BaseModel):
    content: list[Any]
    stop_reason: str | None = None
    usage: Any = None
    model: str | None = None


def read_reply(body: str, *, max_output_tokens: int, bytes_sent: int | None = None) -> Reply:
    """Read the body of a chat completion.

    Args:
        body: as it came.
        max_output_tokens: named in the problem of an answer that was cut off there.
        bytes_sent: of all messages, by which a reported usage is checked; None checks it against zero alone.

    Raises:
        ValueError: the body is no chat completion; the message says what is wrong in it.
    """
    content = _validated(_Body, body)
    choice = content.choices[0]
    message = choice.message
    return _reply(
        text=_text(message.content),
        reason=choice.finish_reason,
        refusal=message.refusal,
        thoughts=bool(message.reasoning_content or message.reasoning),
        tools=bool(message.tool_calls or message.function_call),
        model=content.model,
        usage=(_field(content.usage, "prompt_tokens"), _field(content.usage, "completion_tokens")),
        max_output_tokens=max_output_tokens,
        bytes_sent=bytes_sent,
    )


def read_message(body: str, *, max_output_tokens: int, bytes_sent: int | None = None) -> Reply:
    """Read the body of an answer of Anthropic's messages API; as `read_reply`.

    Raises:
        ValueError: the body is no message; the message says what is wrong in it.
    """
    content = _validated(_MessageBody, body)
    kinds = {block.get("type") for block in content.content if isinstance(block, dict)}
    reasons = {"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter"}
    # Tokens that were read from a cache of prompts, or written to it, are tokens of the prompt too.
    asked = [_field(content.usage, name) for name in ("cache_creation_input_tokens", "cache_read_input_tokens")]
    tokens_in = _field(content.usage, "input_tokens")
    return _reply(
        text=_text(content.content),
        reason=reasons.get(content.stop_reason or "", content.stop_reason),
        refusal=None,
        thoughts=bool(kinds & {"thinking", "redacted_thinking"}),
        tools=bool(kinds & {"tool_use", "server_tool_use"}),
        model=content.model,
        usage=(
            None if tokens_in is None else tokens_in + sum(filter(None, asked)),
            _field(content.usage, "output_tokens"),
        ),
        max_output_tokens=max_output_tokens,
        bytes_sent=bytes_sent,
    )


def _validated(shape: type[Any], body: str) -> Any:
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "JSON"
        raise ValueError(f"{where}: {problem['msg']}") from None


def _reply(
    *,
    text: str,
    reason: str | None,
    refusal: str | None,
    thoughts: bool,
    tools: bool,
    model: str | None,
    usage: tuple[int | None, int | None],
    max_output_tokens: int,
    bytes_sent: int | None,
) -> Reply:
    # A byte is a token at most, whatever the tokenizer; what is reported beyond that was not used by this request.
    most_in = None if bytes_sent is None else bytes_sent + _SLACK_TOKENS
    most_out = max(max_output_tokens, len(text.encode("utf-8", "replace"))) + _SLACK_TOKENS
    tokens_in, tokens_out = _plausible(usage[0], 1, most_in), _plausible(usage[1], bool(text), most_out)
    problem = _problem(text, reason, refusal, thoughts, tools, max_output_tokens)
    return Reply(text=text[:MAX_ANSWER_CHARS], problem=problem, model=model, tokens_in=tokens_in, tokens_out=tokens_out)


def _text(content: str | list[Any] | None) -> str:
    """Return the text; of a list of parts, that of the text parts."""
    if not isinstance(content, list):
        return content or ""
    said = []
    for part in content:
        if isinstance(part, str):
            said.append(part)
        elif isinstance(part, dict) and part.get("type") in ("text", "output_text", None):
            text = part.get("text")
            said.append(text if isinstance(text, str) else "")
    return "".join(said)


def _field(usage: Any, name: str) -> int | None:
    """Return a number of a reported usage; None where there is none, or something else."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _plausible(tokens: int | None, least: int, most: int | None) -> int | None:
    if tokens is None or (tokens >= least and (most is None or tokens <= most)):
        return tokens
    logger.warning("the endpoint reports %d tokens, which cannot be; they are estimated instead", tokens)
    return None


def _problem(
    text: str, reason: str | None, refusal: str | None, thoughts: bool, tools: bool, max_output_tokens: int
) -> str | None:
    if reason == "content_filter":
        return "the endpoint's content filter stopped the answer; change the instruction or the model"
    if refusal:
        return f"the model refuses: {refusal[:200]!r}; change the instruction or the model"
    if reason == "length":
        return (
            f"{CUT_OFF} at {max_output_tokens} tokens; raise `max_output_tokens` "
            "(a model that thinks first spends some of them on that)"
        )
    if len(text) > MAX_ANSWER_CHARS:
        return f"the answer has {len(text)} characters, and the first {MAX_ANSWER_CHARS} are kept; change the model"
    if text.strip():
        return None
    if tools:
        return "the model calls a tool instead of answering; change the model or its server's settings"
    if thoughts:
        return "the answer holds thoughts alone and is empty after them; raise `max_output_tokens` or change the model"
    return "the answer is empty; change the instruction or the model"
