"""The chat-completions protocol: OpenAI's own and that of vLLM, Ollama, llama.cpp and most others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import openai

from engine.prices import base_url
from engine.synthesis.attempts import HOOKS
from engine.synthesis.chat import Manner
from engine.synthesis.reply import Reply, read_reply
from engine.task_parts import LanguageModelSpec


class OpenAIWire:
    """Speaks chat completions through the `openai` client."""

    errors: Any = openai
    root: type[Exception] = openai.OpenAIError

    def __init__(self, spec: LanguageModelSpec, key: str) -> None:
        self._spec = spec
        self._client = openai.AsyncOpenAI(
            # The client insists on a key; a server on this machine needs none.
            api_key=key or "none",
            base_url=base_url(spec),
            timeout=spec.timeout_s,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks=HOOKS),
        )

    async def send(self, messages: Sequence[dict[str, str]], manner: Manner, *, max_retries: int) -> str:
        """See `Wire`."""
        options: dict[str, Any] = {manner.limit_name: self._spec.max_output_tokens}
        if manner.temperature is not None:
            options["temperature"] = manner.temperature
        if not manner.system_role:
            messages = [{"role": "user", "content": "\n\n".join(m["content"] for m in messages)}]
        response = await self._client.with_options(max_retries=max_retries).chat.completions.with_raw_response.create(
            model=self._spec.model, messages=cast(Any, list(messages)), extra_body=self._spec.extra or None, **options
        )
        return cast(str, response.text)

    def read(self, body: str, *, bytes_sent: int) -> Reply:
        """See `Wire`."""
        return read_reply(body, max_output_tokens=self._spec.max_output_tokens, bytes_sent=bytes_sent)

    async def close(self) -> None:
        """See `Wire`."""
        await self._client.close()
