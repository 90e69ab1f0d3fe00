"""How often a question was sent, and how often that may have been charged.

Counted where the HTTP client really sends, because the vendors' clients retry by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any


class Attempts:
    """The sendings of one question.

    Attributes:
        limit: how many there may be.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._made: list[_Attempt] = []

    def start(self) -> None:
        """Count here what the current task sends from now on."""
        _current.set(self)

    @property
    def made(self) -> int:
        """How many there were, those that found no connection among them."""
        return len(self._made)

    @property
    def charged(self) -> int:
        """How many may have been charged: what was sent, less what was refused with an error status."""
        return sum(attempt.sent and not attempt.refused for attempt in self._made)

    def begin(self, request: Any) -> None:
        """Take down a request of the HTTP client that is about to leave."""
        attempt = _Attempt()
        self._made.append(attempt)
        request.extensions["trace"] = attempt.trace

    def answered(self, response: Any) -> None:
        """Take down the status of the last one."""
        self._made[-1].refused = response.status_code >= 300


class _Attempt:
    """One sending of a question: whether it left this machine, and whether the endpoint declined it."""

    def __init__(self) -> None:
        self.sent = False
        self.refused = False

    async def trace(self, event: str, info: object) -> None:
        # The HTTP client calls this with the steps of a request; one that found no connection has sent nothing.
        if event.endswith("send_request_headers.started"):
            self.sent = True


_current: ContextVar[Attempts] = ContextVar("attempts")
"""Of the question that this task asks; the HTTP client is shared by all of them."""


async def _on_request(request: Any) -> None:
    _current.get().begin(request)


async def _on_response(response: Any) -> None:
    _current.get().answered(response)


HOOKS: dict[str, list[Callable[..., Any]]] = {"request": [_on_request], "response": [_on_response]}
"""What a wire gives its HTTP client, so that attempts are counted where they are made."""
