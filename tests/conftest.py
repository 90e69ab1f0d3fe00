"""A small corpus with planted classes, programs of known quality for it, and small encoders."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Ray's token file goes to the user's home otherwise, and tests leave nothing there.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")

HOSTILE = Path(__file__).resolve().parents[1] / "../shared/hostile"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take another folder of hostile programs."""
    parser.addoption("--hostile-dir", type=Path, default=HOSTILE, help="folder of hostile programs for the sandbox")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for `hostile` each hostile program in turn, or skip it where there are none."""
    if "hostile" in metafunc.fixturenames:
        folder = metafunc.config.getoption("--hostile-dir")
        absent = pytest.param(None, marks=pytest.mark.skip(reason=f"no hostile programs in {folder}"))
        paths = sorted(folder.glob("*.py"))
        metafunc.parametrize("hostile", paths or [absent], ids=[path.stem for path in paths] or ["absent"])


TASK = """\
name: comments
data: {source: comments.csv}
columns: {text: body, gold: label, group: site}
classes:
  - {name: ham}
  - {name: spam}
instruction: Label a comment as ham or spam.
programs: {folder: programs}
shards: {max_rows: 100}
"""

PROGRAMS = {
    "links": "def label_function(text):\n    return 1 if 'http' in text else -1\n",
    "offers": "def label_function(text):\n    return 1 if 'free' in text or 'win' in text else -1\n",
    "praise": "def label_function(text):\n    return 0 if 'love' in text or 'song' in text else -1\n",
    "words": (
        "import re\nSHOUT = re.compile('[A-Z]{4,}')\n"
        "def label_function(text):\n    return 1 if SHOUT.search(text) else 0 if 'nice' in text else -1\n"
    ),
}

_SPAM = ("http://x.example", "free", "win", "CLICK", "subscribe", "offer")
_HAM = ("love", "song", "nice", "voice", "memories", "beautiful")
_OTHER = ("the", "this", "and", "video", "people", "today", "again", "really")


def write_corpus(path: Path, *, num_rows: int, seed: int = 0) -> None:
    """Write a CSV with the columns body, label and site; a tenth of the rows hold no cue of their class."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["body", "label", "site"])
        for row in range(num_rows):
            spam = bool(rng.random() < 0.4)
            cues = rng.choice(_SPAM if spam else _HAM, size=0 if rng.random() < 0.1 else rng.integers(1, 4))
            words = [*cues, *rng.choice(_OTHER, size=6)]
            rng.shuffle(words)
            site = "a" if rng.random() < 0.7 else "b"
            writer.writerow([f'{" ".join(words)}, "no {row}"\nend', "spam" if spam else "ham", site])


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with comments.csv, programs/ and task.yaml; returns the task file."""

    def make(*, num_rows: int = 400, task: str = TASK, programs: dict[str, str] | None = None) -> Path:
        write_corpus(tmp_path / "comments.csv", num_rows=num_rows)
        folder = tmp_path / "programs"
        folder.mkdir()
        for name, source in (programs or PROGRAMS).items():
            (folder / f"{name}.py").write_text(source, encoding="utf-8")
        path = tmp_path / "task.yaml"
        path.write_text(task, encoding="utf-8")
        return path

    return make


def write_encoder(
    folder: Path, words: Sequence[str], *, seed: int = 0, spread: float = 0.02, kind: str = "Bert", **options: Any
) -> Path:
    """Write an encoder of two small layers with random weights and a vocabulary of words.

    Args:
        folder: for its files.
        words: that it knows.
        seed: of the weights.
        spread: their standard deviation.
        kind: of model, as in the names of transformers' classes.
        options: of its config.
    """
    from operators.torchvision_ops import ensure_torchvision

    ensure_torchvision()
    import torch
    import transformers
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import BertProcessing

    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    torch.manual_seed(seed)
    given: dict[str, Any] = {
        "vocab_size": len(known),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "initializer_range": spread,
    }
    config = getattr(transformers, f"{kind}Config")(**given | options)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    # Transformers 5 ignores `vocab_file`, and every word would be the unknown one.
    vocabulary = {word: place for place, word in enumerate(known)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    whole = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    whole.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_encoder() -> Callable[..., Path]:
    """Give `write_encoder`, since a test module cannot import its conftest."""
    return write_encoder


@dataclass(slots=True)
class Web:
    """A web server on this machine.

    Attributes:
        url: of its root.
        answers: {path: what it answers in turn, the last for good}: bytes, an HTTP status, or "cut off". It is the same
            answer to a request for the head and for the body.
        asked: paths of the requests for a body.
    """

    url: str
    answers: dict[str, list[bytes | int | str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def web() -> Iterator[Web]:
    """Serve what a test says; asked for by fsspec, whose driver for the web is optional."""
    pytest.importorskip("aiohttp", reason="fsspec's driver for the web is not installed")
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(served.answers.get(self.path, [404])[0], body=False)

        def do_GET(self) -> None:
            with lock:
                served.asked.append(self.path)
                answers = served.answers.get(self.path, [404])
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self._answer(answer, body=True)

        def _answer(self, answer: bytes | int | str, *, body: bool) -> None:
            if isinstance(answer, int):
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = b"whole" if isinstance(answer, str) else answer
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data[:2] if isinstance(answer, str) else data)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Web(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()
