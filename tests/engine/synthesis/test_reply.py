"""Reading the body of a response."""

from __future__ import annotations

import json

import pytest

from engine.synthesis.reply import read_reply


def body(content: str | None = "hello", finish_reason: str | None = "stop", **others: object) -> str:
    message = {"role": "assistant", "content": content} | others
    return json.dumps({"choices": [{"message": message, "finish_reason": finish_reason}], "model": "m-1"})


def test_a_good_answer_is_read() -> None:
    """Text and model are there, and usage that was not sent is None."""
    reply = read_reply(body(), max_output_tokens=10)
    assert (reply.text, reply.model, reply.problem) == ("hello", "m-1", None)
    assert (reply.tokens_in, reply.tokens_out) == (None, None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (body(None), "empty"),
        (body("  \n"), "empty"),
        (body("def label", "length"), "cut off at 10 tokens"),
        (body(None, "length"), "cut off at 10 tokens"),
        (body("", "content_filter"), "content filter"),
        (body(None, refusal="I will not."), "I will not."),
    ],
)
def test_an_unusable_answer_says_why(content: str, problem: str) -> None:
    """Empty, cut off, filtered and refused answers are told apart, each with what to do."""
    said = read_reply(content, max_output_tokens=10).problem
    assert said is not None
    assert problem in said
    assert "change" in said or "raise" in said


@pytest.mark.parametrize(
    "content",
    ["", "<html>", "[]", "{}", '{"choices": []}', '{"choices": [{"message": 5}]}', '{"choices": null}'],
)
def test_what_is_no_chat_completion_is_refused(content: str) -> None:
    """Nothing is guessed out of another shape."""
    with pytest.raises(ValueError, match=r"JSON|choices"):
        read_reply(content, max_output_tokens=10)
