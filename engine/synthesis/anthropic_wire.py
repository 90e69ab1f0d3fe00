"""Anthropic's messages protocol, through its own client, which is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from engine.errors import ConfigError
from engine.prices import base_url
from engine.synthesis.attempts import HOOKS
from engine.synthesis.chat import Manner
from engine.synthesis.reply import Reply, read_message
from engine.task_parts import LanguageModelSpec

try:
    import anthropic
except ImportError as error:
    raise ConfigError(
        "`language_model.provider: anthropic` needs Anthropic's client: pip install 'alchemist-labeling[anthropic]'"
    ) from error


class AnthropicWire:
    """Speaks the messages API through the `anthropic` client."""

    errors: Any = anthropic
    root: type[Exception] = anthropic.AnthropicError

    def __init__(self, spec: LanguageModelSpec, key: str) -> None:
        self._spec = spec
        self._client = anthropic.AsyncAnthropic(
            api_key=key or "none",
            # Else the client would take a second credential from the environment and send it along.
            auth_token=None,
            base_url=base_url(spec),
            timeout=spec.timeout_s,
            http_client=anthropic.DefaultAsyncHttpxClient(event_hooks=HOOKS),
        )

    async def send(self, messages: Sequence[dict[str, str]], manner: Manner, *, max_retries: int) -> str:
        """See `Wire`; here the system message is a parameter of its own."""
        # Newer models take no temperature, and neither do newer clients as an argument.
        others = {} if manner.temperature is None else {"temperature": manner.temperature}
        system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
        response = await self._client.with_options(max_retries=max_retries).messages.with_raw_response.create(
            model=self._spec.model,
            max_tokens=self._spec.max_output_tokens,
            system=system,
            messages=cast(Any, [m for m in messages if m["role"] != "system"]),
            extra_body=others | self._spec.extra or None,
        )
        return await response.text()

    def read(self, body: str, *, bytes_sent: int) -> Reply:
        """See `Wire`."""
        return read_message(body, max_output_tokens=self._spec.max_output_tokens, bytes_sent=bytes_sent)

    async def close(self) -> None:
        """See `Wire`."""
        await self._client.close()
