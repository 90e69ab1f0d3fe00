"""One question to a chat-completions endpoint, and what its failures mean to a user.

The `openai` client sends, authenticates, backs off and retries; here its errors become ours, each with what
to do. Money is not this file's business, but it counts the attempts that may have been charged.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import openai

from engine.errors import ConfigError, EngineError, LLMError, LLMUnavailable
from engine.synthesis.reply import Reply, read_reply
from engine.task_parts import LanguageModelSpec

logger = logging.getLogger(__name__)


class Endpoint:
    """A chat-completions endpoint with its client.

    Attributes:
        charged: how many attempts at the last question may have been charged: what was sent, less what was
            refused with an error status. The answered one is among them.
    """

    def __init__(self, spec: LanguageModelSpec) -> None:
        """Make the client; nothing is sent.

        Raises:
            ConfigError: the environment holds no key, and the endpoint is not on this machine.
        """
        self._spec = spec
        self._key = _key(spec)
        self._attempts: list[_Attempt] = []
        # Servers disagree on these; what one refuses is asked without from then on.
        self._limit_name = "max_tokens"
        self._temperature = spec.temperature
        self._client = openai.OpenAI(
            # The client insists on a key; a server on this machine needs none.
            api_key=self._key or "none",
            base_url=base_url(spec),
            timeout=spec.timeout_s,
            http_client=openai.DefaultHttpxClient(
                event_hooks={"request": [self._on_request], "response": [self._on_response]}
            ),
        )

    @property
    def charged(self) -> int:
        """See the class."""
        return sum(attempt.sent and not attempt.refused for attempt in self._attempts)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, messages: Sequence[dict[str, str]], *, attempts: int) -> Reply:
        """Send a question, `attempts` times at most while the endpoint is busy or cannot be reached.

        Raises:
            ConfigError: the key or the name of the model is refused.
            LLMUnavailable: no answer came: time-out, rate limit, server error, no connection.
            LLMError: the endpoint refuses the request, or its answer is not a chat completion.
        """
        self._attempts = []
        while True:
            client = self._client.with_options(max_retries=attempts - 1 - self.charged)
            options: dict[str, Any] = {self._limit_name: self._spec.max_output_tokens}
            if self._temperature is not None:
                options["temperature"] = self._temperature
            try:
                response = client.chat.completions.with_raw_response.create(
                    model=self._spec.model, messages=cast(Any, list(messages)), **options
                )
            except openai.BadRequestError as error:
                if self._adapt(error):
                    continue
                raise self._translated(error) from self._cause(error)
            except openai.OpenAIError as error:
                raise self._translated(error) from self._cause(error)
            return self._read(response.text)

    def _adapt(self, error: openai.BadRequestError) -> bool:
        """Drop or rename the parameter that this model does not know; False if that is not the trouble."""
        complaint = f"{error.param} {error.code} {error.message}".lower()
        if self._temperature is not None and "temperature" in complaint:
            self._temperature = None
            logger.warning("%s refuses a temperature; asking without it", self._spec.model)
            return True
        if self._limit_name == "max_tokens" and "max_tokens" in complaint:
            self._limit_name = "max_completion_tokens"
            return True
        return False

    def _read(self, body: str) -> Reply:
        try:
            return read_reply(body, max_output_tokens=self._spec.max_output_tokens)
        except ValueError as error:
            raise LLMError(
                f"{self._where} answered with what is not a chat completion ({error}); it begins "
                f"{self._scrub(body[:80])!r}. Is `language_model.base_url` that of an OpenAI-compatible API?"
            ) from None

    def _translated(self, error: openai.OpenAIError) -> EngineError:
        said = self._scrub(" ".join(str(error).split())[:400])
        spec, where = self._spec, self._where
        tries = f"{len(self._attempts)} attempts" if len(self._attempts) > 1 else "1 attempt"
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return ConfigError(
                    f"{where} refuses the key in {spec.api_key_env}: {said}. Set that environment variable "
                    "to a valid key, or name another in `language_model.api_key_env`"
                )
            case openai.NotFoundError():
                return ConfigError(
                    f"{where} knows no model {spec.model!r}: {said}. "
                    "Correct `language_model.model` or `language_model.base_url`"
                )
            case openai.RateLimitError(code="insufficient_quota"):
                return LLMError(f"no quota is left at {where}: {said}. Add credit there and run again")
            case openai.RateLimitError():
                return LLMUnavailable(f"{where} limits the rate after {tries}: {said}. Run again later")
            case openai.InternalServerError() | openai.APIStatusError(status_code=408 | 409):
                return LLMUnavailable(f"{where} fails after {tries}: {said}. Run again later")
            case openai.APITimeoutError():
                return LLMUnavailable(
                    f"{where} gave no answer within {spec.timeout_s:g} s ({tries}); "
                    "run again, or raise `language_model.timeout_s`"
                )
            case openai.APIConnectionError():
                reason = self._scrub(str(error.__cause__ or error))
                return LLMUnavailable(
                    f"{where} cannot be reached ({tries}): {reason}. Is it running, and is "
                    "`language_model.base_url` right?"
                )
        return LLMError(f"{where} refuses the request: {said}")

    @property
    def _where(self) -> str:
        return f"the language model's endpoint {base_url(self._spec)}"

    def _scrub(self, text: str) -> str:
        # Some servers repeat the key they were given in their error message.
        return text.replace(self._key, "***") if self._key else text

    def _cause(self, error: openai.OpenAIError) -> openai.OpenAIError | None:
        return None if self._key and self._key in str(error) else error

    def _on_request(self, request: Any) -> None:
        attempt = _Attempt()
        self._attempts.append(attempt)
        request.extensions["trace"] = attempt.trace

    def _on_response(self, response: Any) -> None:
        self._attempts[-1].refused = response.status_code >= 300


class _Attempt:
    """One sending of a question: whether it left this machine, and whether the endpoint declined it."""

    def __init__(self) -> None:
        self.sent = False
        self.refused = False

    def trace(self, event: str, info: object) -> None:
        # httpx calls this with the steps of a request; one that found no connection has sent nothing.
        if event.endswith("send_request_headers.started"):
            self.sent = True


def base_url(spec: LanguageModelSpec) -> str:
    """Return where requests go: the task file decides, no environment variable does."""
    return spec.base_url or "https://api.openai.com/v1"


def _key(spec: LanguageModelSpec) -> str:
    key = os.environ.get(spec.api_key_env, "").strip()
    if not key.isascii():
        raise ConfigError(f"the key in {spec.api_key_env} holds a letter that no API key has; copy it again")
    if key or _on_this_machine(base_url(spec)):
        return key
    raise ConfigError(
        f"no API key: set the environment variable {spec.api_key_env} to the key for {base_url(spec)} "
        "(to any word if it needs none), or name another variable in `language_model.api_key_env`"
    )


def _on_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
