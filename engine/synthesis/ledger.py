"""The ledger: every request to a language model with its answer, tokens and price, in one SQLite file.

It is the cache of the next run and the bill of this one, so an answer is on disk before anyone sees it: after
`kill -9` nothing that was paid is asked again. A request is reserved before it is sent; a reservation that
never got its answer stays in the file as money at risk rather than vanish. Values are JSON, never pickle.
SQLite locks badly on network file systems: one machine writes a ledger. Threads of one process may share it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.errors import ConfigError, EngineError
from engine.synthesis.money import Spending, WorstCase, affordable_attempts, spending_of
from engine.synthesis.records import (
    ENTRY_COLUMNS,
    SCHEMA,
    VERSION,
    Entry,
    Reservation,
    canonical,
    request_key,
)
from engine.task_parts import Budget


class Ledger:
    """Requests and answers in one file; a context manager that closes it.

    Attributes:
        path: of the file.

    Example:
        >>> with Ledger.open(":memory:") as ledger:
        ...     ledger.totals().requests
        0
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        # Answers are recorded in the thread that receives them.
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: str | Path) -> Ledger:
        """Open a ledger, or start one where there is none.

        Raises:
            ConfigError: the file is not a ledger, is one of another version, or cannot be written.
        """
        path = Path(path)
        try:
            connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        except sqlite3.Error as error:
            raise ConfigError(f"{path}: cannot be opened as a ledger: {error}") from error
        try:
            _prepare(path, connection)
        except sqlite3.Error as error:
            connection.close()
            raise ConfigError(f"{path}: cannot be used as a ledger: {error}") from error
        except ConfigError:
            connection.close()
            raise
        return cls(path, connection)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was recorded is already safe."""
        self._connection.close()

    def get(self, key: str) -> Entry | None:
        """Return the answer to the request with this key, None if it was never answered."""
        with self._errors():
            row = self._connection.execute(
                f"SELECT {', '.join(ENTRY_COLUMNS)} FROM requests "
                "WHERE key = ? AND status != 'unanswered' ORDER BY id LIMIT 1",
                (key,),
            ).fetchone()
        if row is None:
            return None
        values = dict(zip(ENTRY_COLUMNS, row, strict=True))
        values["answer"] = json.loads(values["answer"])
        values["tokens_estimated"] = bool(values["tokens_estimated"])
        return Entry(**values)

    def reserve(
        self, request: Mapping[str, object], *, worst: WorstCase, budget: Budget, attempts: int = 1
    ) -> Reservation:
        """Put a request down before it is sent, if the budget has room for it.

        Args:
            request: JSON values with the `model` among them; never an API key or a header.
            worst: the most that one attempt can use.
            budget: what everything in this ledger may use together.
            attempts: how often the request would be sent at most; near the end of a budget fewer are granted.

        Raises:
            BudgetReached: not one attempt fits; nothing is put down.
            ConfigError: the budget is in money and cannot be compared with what is spent.
        """
        with self._transaction():
            granted = affordable_attempts(self.totals(), worst, budget=budget, wanted=attempts)
            values = {
                "key": request_key(request),
                "asked": request["model"],
                "request": canonical(request),
                "status": "unanswered",
                "currency": worst.currency,
                "unanswered": granted,
                "worst_tokens": worst.tokens,
                "worst_cost": worst.cost,
                "sent_at": _now(),
            }
            row = self._connection.execute(
                f"INSERT INTO requests ({', '.join(values)}) VALUES ({', '.join(f':{c}' for c in values)}) "
                "RETURNING id",
                values,
            ).fetchone()
        return Reservation(row=row[0], attempts=granted)

    def record(self, reservation: Reservation, entry: Entry, *, unanswered: int = 0) -> None:
        """Put an answer down; when this returns it is on disk.

        Args:
            reservation: of the request that was answered.
            entry: its answer and what it used.
            unanswered: attempts before the answer that may have been charged too.
        """
        values = asdict(entry) | {
            "answer": json.dumps(entry.answer),
            "unanswered": unanswered,
            "answered_at": _now(),
        }
        with self._transaction():
            self._connection.execute(
                f"UPDATE requests SET {', '.join(f'{c} = :{c}' for c in values)} WHERE id = :id",
                values | {"id": reservation.row},
            )

    def settle(self, reservation: Reservation, *, unanswered: int) -> None:
        """End a request without an answer: keep what may have been charged, forget it if nothing was."""
        with self._transaction():
            if unanswered:
                statement = "UPDATE requests SET unanswered = :unanswered WHERE id = :id"
            else:
                statement = "DELETE FROM requests WHERE id = :id"
            self._connection.execute(statement, {"id": reservation.row, "unanswered": unanswered})

    def totals(self) -> Spending:
        """Add up what the ledger holds, from all the runs that used it."""
        return spending_of(*self._rows())

    def by_model(self) -> dict[str, Spending]:
        """Add up what the ledger holds for each model that was asked, by the task file's name for it."""
        answered, at_risk = self._rows()
        models = dict.fromkeys(row[0] for row in answered + at_risk)
        return {
            model: spending_of([r for r in answered if r[0] == model], [r for r in at_risk if r[0] == model])
            for model in models
        }

    def _rows(self) -> tuple[list[Any], list[Any]]:
        with self._errors():
            answered = self._connection.execute(
                "SELECT asked, tokens_in, tokens_out, tokens_estimated, cost, currency FROM requests "
                "WHERE status != 'unanswered' ORDER BY id"
            ).fetchall()
            at_risk = self._connection.execute(
                "SELECT asked, unanswered, worst_tokens, worst_cost, currency FROM requests "
                "WHERE unanswered > 0 ORDER BY id"
            ).fetchall()
        return answered, at_risk

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            # IMMEDIATE takes the write lock before the totals are read, so that two writers of one budget
            # cannot both see the same room in it.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise EngineError(f"{self.path}: the ledger cannot be read or written: {error}") from error


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and version != VERSION:
        raise ConfigError(f"{path}: not a ledger of version {VERSION} (it says {version}); move it away")
    connection.execute("PRAGMA journal_mode=WAL")
    # FULL syncs the log at each commit, so that a paid answer survives a power cut as well.
    connection.execute("PRAGMA synchronous=FULL")
    if not tables:
        connection.executescript(f"BEGIN IMMEDIATE;{SCHEMA}PRAGMA user_version={VERSION};COMMIT;")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
