"""A server on this machine that speaks both protocols and misbehaves on purpose."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from engine.task_parts import LanguageModelSpec

CODE = "def label_function(text):\n    return 1 if 'http' in text else -1\n"
KEY = "sk-secret-0123456789"


@dataclass(kw_only=True)
class Response:
    """What the server does with one request."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    cuts: bool = False
    resets: bool = False
    slow_s: float = 0.0


def answer(
    text: object = f"```python\n{CODE}```",
    *,
    finish_reason: str = "stop",
    usage: dict[str, object] | None = None,
    refusal: str | None = None,
    **message: object,
) -> Response:
    """A chat completion; `usage={}` leaves the usage out, and `message` holds more keys of the message."""
    body: dict[str, object] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "model-2026-01-01",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": text, "refusal": refusal} | message,
            }
        ],
    }
    if usage != {}:
        body["usage"] = usage or {"prompt_tokens": 300, "completion_tokens": 100, "total_tokens": 400}
    return Response(body=body)


def error(status: int, message: str, **details: str) -> Response:
    """An error in the protocol's shape; a retry may follow at once."""
    return Response(status=status, body={"error": {"message": message, **details}}, headers={"retry-after-ms": "1"})


def message(
    content: object = ({"type": "text", "text": f"```python\n{CODE}```"},),
    *,
    stop_reason: str = "end_turn",
    usage: dict[str, object] | None = None,
) -> Response:
    """An answer of the messages API."""
    body: dict[str, object] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-2026-01-01",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 300, "output_tokens": 100} if usage is None else usage,
    }
    return Response(body=body)


class ChatServer:
    """Plays its script, one response a request, and repeats the last one.

    Tests get at the rest of this file through it, since a test module cannot import its conftest.
    """

    CODE = CODE
    KEY = KEY
    Response = Response
    answer = staticmethod(answer)
    error = staticmethod(error)
    message = staticmethod(message)

    def __init__(self) -> None:
        self.script: list[Response] = [answer()]
        # In the place of the script: from a request to its response.
        self.reply: Callable[[dict[str, Any]], Response] | None = None
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._count = threading.Lock()
        self.keys: list[str | None] = []
        self.arrived = threading.Event()
        self.released = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def spec(self, **changes: object) -> LanguageModelSpec:
        """A language model behind this server, priced at 1 and 2 dollars a million."""
        values: dict[str, object] = {
            "model": "model",
            "base_url": self.base_url,
            "price": {"input_per_million": 1.0, "output_per_million": 2.0},
            "max_output_tokens": 1000,
            "max_retries": 2,
            "timeout_s": 30,
        }
        if changes.get("provider") == "anthropic":
            values["base_url"] = self.base_url.removesuffix("/v1")
        return LanguageModelSpec.model_validate(values | changes)

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._count:
                    server.requests.append(asked)
                    server.paths.append(self.path)
                    server.keys.append(self.headers["Authorization"] or self.headers["x-api-key"])
                    place = min(len(server.requests), len(server.script)) - 1
                    server.in_flight += 1
                    server.most_in_flight = max(server.most_in_flight, server.in_flight)
                try:
                    self._respond(server.script[place] if server.reply is None else server.reply(asked))
                finally:
                    with server._count:
                        server.in_flight -= 1

            def _respond(self, response: Response) -> None:
                server.arrived.set()
                self.close_connection = True
                time.sleep(response.slow_s)
                if response.hangs:
                    server.released.wait(30)
                    return
                body = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
                self.send_response(response.status)
                for name, value in ({"Content-Type": "application/json"} | response.headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if response.cuts or response.resets else body)
                if response.resets:
                    self.wfile.flush()
                    # Closing with a linger of zero sends a reset rather than an end.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing: the tests read `requests`."""

        return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A running server, and a key for it in the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    chat = ChatServer()
    yield chat
    chat.close()
