"""Answers of language models that were recorded, so that synthesis can be measured without a model.

Three places hold some: `recorded/` beside this file (our own requests to an open model, JSON lines), a ledger of a run
(completions.sqlite), and the raw answers of a small model in ../shared. A ledger becomes a file of `recorded/` by

    python benchmarks/recorded_answers.py TASK:STRATEGY=FILE ... > benchmarks/recorded/MODEL.jsonl
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.synthesis.prompts import Prompt, rendered

RECORDED = Path(__file__).resolve().parent / "recorded"

_REPAIR = "An earlier answer to this was turned away."
"""Of engine/synthesis/templates/repair.jinja; a question with it is a repair."""

_ANOTHER = 1003
"""Variants from here on replace an earlier one; see engine/synthesis/synthesize.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A recorded answer.

    Attributes:
        again: whether it was asked because an earlier answer to the same place was turned away.
        problem: why the answer was unusable as it came (cut off, empty); None for one that is read.
        variant: of the question; None where it is not known.
        prompt: digest of the question, as in the header of a program; "" where it is not known.
        tokens: in and out; None where they are not known.
        cost: None where no price is known.
    """

    text: str
    again: bool = False
    problem: str | None = None
    variant: int | None = None
    prompt: str = ""
    tokens: int | None = None
    cost: float | None = None


def from_ledger(path: Path) -> list[Answer]:
    """Read the answers of a ledger that were to be programs, in the order asked; the file is opened to read alone."""
    with sqlite3.connect(f"file:{path.resolve()}?mode=ro", uri=True) as connection:
        entries = connection.execute(
            "SELECT request, answer, problem, tokens_in + tokens_out, cost FROM requests "
            "WHERE status != 'unanswered' ORDER BY id"
        ).fetchall()
    knowledge = rendered("ask_system.jinja")
    found = []
    for content, answer, problem, tokens, cost in entries:
        request = json.loads(content)
        prompt = Prompt(**{message["role"]: message["content"] for message in request["messages"]})
        if prompt.system == knowledge:
            continue
        found.append(
            Answer(
                text=json.loads(answer),
                again=_REPAIR in prompt.user or request["variant"] >= _ANOTHER,
                problem=problem,
                variant=request["variant"],
                prompt=prompt.digest,
                tokens=tokens,
                cost=cost,
            )
        )
    return found


def recorded(folder: Path = RECORDED) -> dict[str, list[Answer]]:
    """Read what stands in `recorded/`: {task:strategy of the file's model: answers in the order asked}."""
    found: dict[str, list[Answer]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            values = json.loads(line)
            task, _, strategy = values.pop("of").partition(":")
            found.setdefault(f"{task}:{strategy}, {path.stem}", []).append(Answer(**values))
    return found


def small_model(path: Path) -> dict[str, list[Answer]]:
    """Read the raw answers of the small model in ../shared, in the order asked; their price is unknown."""
    found: dict[str, list[Answer]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        answer = Answer(text=record["response"], tokens=record["usage"]["total_tokens"])
        found.setdefault(record["task"], []).append(answer)
    return found


def _lines(ledgers: list[str]) -> Iterator[str]:
    for given in ledgers:
        name, _, path = given.partition("=")
        for answer in from_ledger(Path(path)):
            yield json.dumps({"of": name} | asdict(answer), ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in _lines(sys.argv[1:]))
