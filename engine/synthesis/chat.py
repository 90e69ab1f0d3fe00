"""One question to an endpoint, whichever protocol it speaks, and what its failures mean to a user.

The vendors' clients send, authenticate, back off and retry; here their errors become ours, each with what to do.
The clients of OpenAI and Anthropic name their errors alike, so one translation serves both. Money is not this file's
business, but it counts the attempts that may have been charged.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlsplit

from engine.errors import ConfigError, EngineError, LLMError, LLMRefused, LLMUnavailable
from engine.prices import base_url
from engine.synthesis.attempts import Attempts
from engine.synthesis.reply import Reply
from engine.task_parts import LanguageModelSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a question is put; servers disagree, and what one refuses is asked without from then on.

    Attributes:
        limit_name: of the parameter that bounds the answer.
        temperature: None leaves it to the endpoint.
        system_role: False puts the system message before the user's.
    """

    limit_name: str = "max_tokens"
    temperature: float | None = None
    system_role: bool = True


class Wire(Protocol):
    """A protocol that an endpoint speaks."""

    errors: Any
    """The module of the vendor's client, with its classes of errors."""

    root: type[Exception]
    """What all of them derive from."""

    async def send(self, messages: Sequence[dict[str, str]], manner: Manner, *, max_retries: int) -> str:
        """Send a question, again where the client thinks it worth it, and return the body of the answer."""
        ...

    def read(self, body: str, *, bytes_sent: int) -> Reply:
        """Read the body; ValueError where it is no answer in this protocol."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Endpoint:
    """A language model behind an endpoint, with its client; several questions may be in flight."""

    def __init__(self, spec: LanguageModelSpec) -> None:
        """Make the client; nothing is sent.

        Raises:
            ConfigError: the environment holds no key and the endpoint is not on this machine, or the client of
                this provider is not installed.
        """
        self._spec = spec
        self._key = _key(spec)
        self._manner = Manner(temperature=spec.temperature)
        self._wire = _wire(spec, self._key)

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def ask(self, messages: Sequence[dict[str, str]], *, attempts: Attempts) -> Reply:
        """Send a question, `attempts.limit` times at most while the endpoint is busy or cannot be reached.

        Raises:
            ConfigError: the key or the name of the model is refused.
            LLMRefused: the endpoint refuses this request.
            LLMUnavailable: no answer came: time-out, rate limit, server error, no connection.
            LLMError: there is no quota left, or the answer is not one in this protocol.
        """
        attempts.start()
        manner, errors = self._manner, self._wire.errors
        while True:
            left = max(0, attempts.limit - 1 - attempts.charged)
            try:
                body = await self._wire.send(messages, manner, max_retries=left)
            except errors.APIStatusError as error:
                # llama.cpp reports a chat template that knows no system role as a failure of its own.
                adapted = self._adapted(manner, error) if error.status_code in (400, 422, 500) else manner
                if adapted == manner:
                    raise self._translated(error, attempts) from self._cause(error)
                manner = self._manner = adapted
                continue
            except self._wire.root as error:
                raise self._translated(error, attempts) from self._cause(error)
            return self._read(body, messages)

    def _adapted(self, manner: Manner, error: Any) -> Manner:
        """Drop or rename what this model does not know; the same manner if that is not the trouble."""
        complaint = f"{getattr(error, 'param', '')} {getattr(error, 'code', '')} {error.message}".lower()
        name = self._spec.model
        if manner.temperature is not None and "temperature" in complaint:
            logger.warning("%s refuses a temperature; asking without it", name)
            return replace(manner, temperature=None)
        if manner.limit_name == "max_tokens" and "max_tokens" in complaint and self._spec.provider == "openai":
            return replace(manner, limit_name="max_completion_tokens")
        if manner.system_role and "system" in complaint and ("role" in complaint or "support" in complaint):
            logger.warning("%s knows no system role; its words go before the user's", name)
            return replace(manner, system_role=False)
        return manner

    def _read(self, body: str, messages: Sequence[dict[str, str]]) -> Reply:
        sent = sum(len(m["content"].encode("utf-8", "replace")) for m in messages)
        try:
            return self._wire.read(body, bytes_sent=sent)
        except ValueError as error:
            raise LLMError(
                f"{self._where} answered with what is not an answer of its protocol ({error}); it begins "
                f"{self._scrub(body[:80])!r}. Is `language_model.base_url` that of the API of provider "
                f"`{self._spec.provider}`?"
            ) from None

    def _translated(self, error: Any, attempts: Attempts) -> EngineError:
        said = self._scrub(" ".join(str(error).split())[:400])
        spec, where, errors = self._spec, self._where, self._wire.errors
        tries = f"{attempts.made} attempts" if attempts.made > 1 else "1 attempt"
        status = getattr(error, "status_code", None)
        if isinstance(error, (errors.AuthenticationError, errors.PermissionDeniedError)):
            return ConfigError(
                f"{where} refuses the key in {spec.api_key_env}: {said}. Set that environment variable "
                "to a valid key, or name another in `language_model.api_key_env`"
            )
        if isinstance(error, errors.NotFoundError):
            return ConfigError(
                f"{where} knows no model {spec.model!r}: {said}. "
                "Correct `language_model.model` or `language_model.base_url`"
            )
        if isinstance(error, errors.RateLimitError):
            if getattr(error, "code", None) == "insufficient_quota":
                return LLMError(f"no quota is left at {where}: {said}. Add credit there and run again")
            wait = error.response.headers.get("retry-after")
            after = "later" if wait is None else f"after what it asks for (Retry-After: {wait[:40]})"
            return LLMUnavailable(f"{where} limits the rate after {tries}: {said}. Run again {after}")
        if isinstance(error, errors.InternalServerError) or status in (408, 409):
            return LLMUnavailable(f"{where} fails after {tries}: {said}. Run again later")
        if isinstance(error, errors.APITimeoutError):
            return LLMUnavailable(
                f"{where} gave no answer within {spec.timeout_s:g} s ({tries}); "
                "run again, or raise `language_model.timeout_s`"
            )
        if isinstance(error, errors.APIConnectionError):
            reason = self._scrub(str(error.__cause__ or error))
            return LLMUnavailable(
                f"{where} cannot be reached ({tries}): {reason}. Is it running, and is `language_model.base_url` right?"
            )
        return LLMRefused(f"{where} refuses the request: {said}")

    @property
    def _where(self) -> str:
        return f"the language model's endpoint {base_url(self._spec)}"

    def _scrub(self, text: str) -> str:
        # Some servers repeat the key they were given in their error message.
        return text.replace(self._key, "***") if self._key else text

    def _cause(self, error: Exception) -> Exception | None:
        return None if self._key and self._key in str(error) else error


def _wire(spec: LanguageModelSpec, key: str) -> Wire:
    # A client takes two seconds to import, and Anthropic's is an extra.
    if spec.provider == "anthropic":
        from engine.synthesis.anthropic_wire import AnthropicWire

        return AnthropicWire(spec, key)
    from engine.synthesis.openai_wire import OpenAIWire

    return OpenAIWire(spec, key)


def _key(spec: LanguageModelSpec) -> str:
    name = spec.api_key_env
    key = os.environ.get(name, "").strip()
    if not key.isascii():
        raise ConfigError(f"the key in {name} holds a letter that no API key has; copy it again")
    if key or _on_this_machine(base_url(spec)):
        return key
    raise ConfigError(
        f"no API key: set the environment variable {name} to the key for {base_url(spec)} "
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
