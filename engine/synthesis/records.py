"""What the ledger keeps of a request: its table, its key, and the values read back.

Apart from ledger.py so that the shape on disk can be read at a glance; a change here is a new VERSION.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    asked TEXT NOT NULL,
    request TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('unanswered', 'answered', 'unusable')),
    answer TEXT,
    problem TEXT,
    model TEXT,
    tokens_in INTEGER,
    tokens_out INTEGER,
    tokens_estimated INTEGER,
    cost REAL,
    currency TEXT,
    unanswered INTEGER NOT NULL,
    worst_tokens INTEGER NOT NULL,
    worst_cost REAL,
    sent_at TEXT NOT NULL,
    answered_at TEXT
);
CREATE INDEX IF NOT EXISTS keys ON requests (key);
"""
"""`asked` is the model of the task file, `model` the one that answered; `unanswered` counts the attempts that
got no answer and may have been charged, each `worst_tokens` and `worst_cost` at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An answer as it was bought.

    Attributes:
        status: "unusable" for an answer that was paid and is empty, refused or cut off.
        problem: what is wrong with an unusable answer.
        model: as the endpoint named it.
        tokens_estimated: the endpoint reported no usage, and the tokens are an estimate from above.
        cost: None where the price is unknown.
    """

    status: Literal["answered", "unusable"]
    answer: str
    problem: str | None
    model: str
    tokens_in: int
    tokens_out: int
    tokens_estimated: bool
    cost: float | None
    currency: str | None


ENTRY_COLUMNS = tuple(field.name for field in fields(Entry))
"""The columns that an entry is read from; each has the name of its field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Leave to send one request `attempts` times at most."""

    row: int
    attempts: int


def canonical(request: Mapping[str, object]) -> str:
    """Write a request of JSON values in one way only."""
    return json.dumps(request, sort_keys=True, separators=(",", ":"))


def request_key(request: Mapping[str, object]) -> str:
    """Digest of everything in a request that may change its answer."""
    return hashlib.sha256(canonical(request).encode()).hexdigest()
