"""The loop over rows inside a worker, with a limit of CPU time a row that costs a row nothing.

One timer ticks through the whole batch. Its handler asks an iterator how far the loop has come, and raises only when
a row has stood still for enough ticks: between `need` and `need + 1` ticks of CPU time. What it interrupts is marked
by the handler itself, so a program that catches the exception gains no vote by it.
"""

from __future__ import annotations

import marshal
import signal
from itertools import pairwise
from typing import Any

from .namespace import Program
from .wire import BAD_LABEL, EXCEPTION, MAX_TEXT, MEMORY, TEXT_HEADER, TIMEOUT

_ABSTAIN = -1
_MAX_SHOWN = 200


class RowTimeout(BaseException):
    """A row used up its time; no Exception, so that a program's `except Exception` lets it through."""


class Runner:
    """Applies programs to rows and writes votes and faults into shared memory.

    Attributes:
        timeouts_left: rows that may still run out of time before a run ends.
    """

    def __init__(self, *, tick_s: float, need: int) -> None:
        self.need = need
        self._tick_s = tick_s
        self._ahead: Any = None
        self._last = -1
        self._still = 0
        self._timed_out = -1
        self.timeouts_left = 0
        self._ended = False
        self._text = b""

    def run(
        self,
        call: Program,
        texts: list[Any],
        *,
        votes: memoryview,
        faults: memoryview,
        start: int,
    ) -> tuple[int, bytes]:
        """Apply a program to consecutive rows, until `timeouts_left` of them ran out of time.

        Args:
            call: the program.
            texts: of the rows from `start` on.
            votes: int8 of all rows; those run are written.
            faults: uint8 of all rows, 0 before.
            start: number of the first row.

        Returns:
            the first row not run, which is short of the end after a MemoryError too (the parent may want a fresh
            worker), and the text of the first fault.
        """
        self._votes, self._faults, self._stop = votes, faults, start + len(texts)
        self._ended, self._text = self.timeouts_left <= 0, b""
        row = start
        # Each time, since another program of the group may have put a handler of its own there.
        signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, self._tick_s, self._tick_s)
        while row < self._stop and not self._ended:
            self._todo = texts[row - start :]
            self._last, self._still = -1, 0
            try:
                row = self._stretch(call, row)
            except RowTimeout:
                row = self._timed_out + 1
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._todo = []  # what is decoded next takes the memory of these rows
        return row, self._text

    def _stretch(self, call: Program, row: int) -> int:
        """Run rows until one raises; returns the row after the last one run."""
        votes = self._votes
        self._ahead = ahead = iter(range(row, self._stop))
        try:
            for row, text in zip(ahead, self._todo):  # noqa: B905 - the handler ends the loop by emptying one
                vote = call(text)
                try:
                    votes[row] = vote
                except (TypeError, ValueError):
                    self._fault(row, BAD_LABEL, f"returned {_described(vote)}, which is no class number")
        except RowTimeout:
            raise
        except MemoryError:
            self._ended = True
            self._fault(row, MEMORY, "MemoryError: the row needs more memory than the sandbox gives")
        except BaseException as error:
            self._fault(row, EXCEPTION, error)
        finally:
            # Here and not after the call: a tick that raises before this is still caught, and none does after it.
            self._ahead = None
        return row + 1

    def _fault(self, row: int, code: int, reason: str | BaseException) -> None:
        if not self._text:
            self._text = described(reason)
        self._votes[row] = _ABSTAIN
        self._faults[row] = code

    def _tick(self, signum: int, frame: object) -> None:
        if self._ahead is None:
            return
        row = self._stop - 1 - self._ahead.__length_hint__()
        if row != self._last:
            self._last, self._still = row, 0
            return
        self._still += 1
        if self._still < self.need:
            return
        if self._faults[row] != TIMEOUT:
            self._timed_out = row
            self._votes[row] = _ABSTAIN
            self._faults[row] = TIMEOUT
            self.timeouts_left -= 1
            self._text = self._text or b"RowTimeout: the row used up its time"
            if self.timeouts_left <= 0:
                self._ended = True
                self._todo.clear()
        raise RowTimeout


def described(reason: str | BaseException) -> bytes:
    """Write an exception as text for the parent, however its own methods misbehave."""
    try:
        text = reason if isinstance(reason, str) else f"{type(reason).__name__}: {reason}"
        return text[:_MAX_SHOWN].encode("utf-8", "backslashreplace")[:MAX_TEXT]
    except RowTimeout:
        raise
    except BaseException:
        return b"an exception that cannot be shown"


def _described(vote: object) -> str:
    if type(vote) is int:
        return f"the integer {vote}" if abs(vote) < 10**9 else "a very large integer"
    if type(vote) in (float, str, bytes):
        return f"the {type(vote).__name__} {vote!r:.60}"
    return f"a value of type {type(vote).__name__}"


def decoded(texts: memoryview, *, rows: int, start: int, stop: int) -> list[str]:
    """Read rows out of the shared texts: rows + 1 int64 offsets, then the texts, each behind its header."""
    if stop <= start:
        return []
    base = 8 * (rows + 1)
    offsets = texts[8 * start : 8 * (stop + 1)].cast("q")
    first = offsets[0]
    data = texts[base + first : base + offsets[-1]]
    try:
        # As marshal writes a list of strings. The bytes are the parent's; no program can change them.
        found: list[str] = marshal.loads(b"".join((b"[", (stop - start).to_bytes(4, "little"), data)))
    except (ValueError, EOFError):  # a text that is not UTF-8
        header = TEXT_HEADER
        return [bytes(data[a - first + header : b - first]).decode("utf-8", "replace") for a, b in pairwise(offsets)]
    return found
