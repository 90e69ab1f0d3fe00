"""Memory shared with workers: texts that nobody can change any more, and results that nobody can resize.

Both are files in memory, so they need no /dev/shm (64 MB in many containers) and vanish with the last process.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from operators.sandbox import wire
from operators.schema import ABSTAIN, Fault

# A worker that could shrink the file would end its parent with SIGBUS at the next read.
_FIXED = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW

_NONE, _TIMEOUT = np.uint8(Fault.NONE), np.uint8(Fault.TIMEOUT)
"""Of the array's own type: NumPy compares with an enumeration twenty times as slowly."""

_NOTHING = pa.scalar(b"", pa.large_binary())

_FORGED = np.ones(256, bool)
"""By code, whether a worker may not report it; looked up, which is ten times as fast as asking for a set."""
_FORGED[[Fault.NONE, Fault.EXCEPTION, Fault.TIMEOUT, Fault.MEMORY, Fault.BAD_LABEL]] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The rows that have a text, sealed in a file.

    Attributes:
        descriptor: of the file: rows + 1 int64 offsets, then the texts, framed as `runner.decoded` reads them.
        size: of the file in bytes.
        offsets: (rows + 1,) int64, of the framed texts.
        kept: (rows,) int64, the places of these rows among all.
        total: number of all rows, nulls included.
    """

    descriptor: int
    size: int
    offsets: npt.NDArray[np.int64]
    kept: npt.NDArray[np.int64]
    total: int

    @property
    def rows(self) -> int:
        """Number of rows with a text."""
        return len(self.kept)

    def batches(self, *, first: int, max_rows: int, max_bytes: int) -> list[tuple[int, int]]:
        """Cut the rows into ranges [start, stop) of at most so many rows and bytes, but at least one row each.

        Args:
            first: rows of the first range, small so that a broken program is found out early.
            max_rows: of the others.
            max_bytes: of text.
        """
        found = []
        start = 0
        while start < self.rows:
            by_bytes = int(np.searchsorted(self.offsets, self.offsets[start] + max_bytes, side="right")) - 1
            stop = min(self.rows, start + (max_rows if start else first), max(by_bytes, start + 1))
            found.append((start, stop))
            start = stop
        return found


def pack(texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> Texts:
    """Write the texts into a sealed file; the caller closes the descriptor.

    Raises:
        ValueError: the array is not of strings.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], pa.large_string())
    if isinstance(texts, pa.Array):
        offsets, data, kept = _of_arrow(texts)
        total = len(texts)
    else:
        offsets, data, kept = _of_strings(texts)
        total = len(texts)
    offsets, data = _framed(offsets, data)
    descriptor = os.memfd_create("texts", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    for part in (memoryview(offsets.tobytes()), data):
        while part:
            part = part[os.write(descriptor, part) :]
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _FIXED | fcntl.F_SEAL_WRITE)
    size = offsets.nbytes + data.nbytes
    return Texts(descriptor=descriptor, size=size, offsets=offsets, kept=kept, total=total)


def _framed(offsets: npt.NDArray[np.int64], data: bytes | pa.Buffer) -> tuple[npt.NDArray[np.int64], memoryview]:
    """Put before each text what marshal knows it by, the letter u and its length as int32.

    A worker then has a list of texts by one call, in half the time of decoding each. It costs the parent once what it
    saves each program.
    """
    rows = len(offsets) - 1
    headers = np.empty((rows, wire.TEXT_HEADER), np.uint8)
    headers[:, 0] = ord("u")
    headers[:, 1:] = np.diff(offsets).astype("<i4").view(np.uint8).reshape(rows, 4)
    places = np.arange(rows + 1, dtype=np.int64) * wire.TEXT_HEADER
    joined = pc.binary_join_element_wise(_binary(places, headers.tobytes()), _binary(offsets, data), _NOTHING)
    _, ends, content = joined.buffers()
    framed = np.frombuffer(ends, np.int64)[joined.offset : joined.offset + rows + 1]
    return framed - framed[0], memoryview(content or b"")[int(framed[0]) : int(framed[-1])]


def _binary(offsets: npt.NDArray[np.int64], data: bytes | pa.Buffer) -> pa.Array:
    buffers = [None, pa.py_buffer(offsets.tobytes()), data if isinstance(data, pa.Buffer) else pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def _of_arrow(array: pa.Array) -> tuple[npt.NDArray[np.int64], bytes | pa.Buffer, npt.NDArray[np.int64]]:
    kept = np.flatnonzero(np.asarray(array.is_valid(), dtype=bool)).astype(np.int64)
    if not len(kept):
        return np.zeros(1, np.int64), b"", kept
    if not _is_text(array.type):
        raise ValueError(f"texts must be strings, got an array of {array.type}")
    strings = array.drop_null().cast(pa.large_string())
    _, places, data = strings.buffers()
    offsets = np.frombuffer(places, np.int64)[strings.offset : strings.offset + len(strings) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    content = data.slice(first, last - first) if data is not None else b""
    return np.ascontiguousarray(offsets - first), content, kept


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _of_strings(texts: Sequence[str | None]) -> tuple[npt.NDArray[np.int64], bytes, npt.NDArray[np.int64]]:
    # A lone surrogate is no valid UTF-8; programs see it as it is all the same.
    parts = [text.encode("utf-8", "surrogatepass") for text in texts if text is not None]
    kept = np.array([row for row, text in enumerate(texts) if text is not None], np.int64)
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    return offsets, b"".join(parts), kept


class Results:
    """Votes and faults of a group of programs, written by its worker.

    Attributes:
        descriptor: of the file.
        votes: (programs, rows) int8, PENDING at first.
        faults: (programs, rows) uint8, 0 at first.
    """

    def __init__(self, programs: int, rows: int) -> None:
        cells = programs * rows
        size = 2 * max(1, cells)
        self.descriptor = os.memfd_create("results", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, size)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _FIXED)
        shared = mmap.mmap(self.descriptor, size)
        half = size // 2
        self.votes = np.frombuffer(shared, np.int8, cells, 0).reshape(programs, rows)
        self.faults = np.frombuffer(shared, np.uint8, cells, half).reshape(programs, rows)
        self.votes.fill(wire.PENDING)

    def read(
        self, program: int, rows: slice, *, num_classes: int
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint8]]:
        """Copy a program's votes and faults, then check the copy: a faulted cell abstains, others hold votes."""
        votes, faults = self.votes[program, rows].copy(), self.faults[program, rows].copy()
        wrong = (votes < ABSTAIN) | (votes >= num_classes)
        faults[_FORGED[faults] | (wrong & (faults == _NONE))] = Fault.BAD_LABEL
        votes[faults != _NONE] = ABSTAIN
        return votes, faults

    def reached(self, program: int, start: int, stop: int) -> int:
        """Row after the last one in [start, stop) that a program has voted on, which is `start` at first."""
        cast = np.flatnonzero(self.votes[program, start:stop] != wire.PENDING)
        return start + (int(cast[-1]) + 1 if len(cast) else 0)

    def timeouts(self, program: int, start: int, stop: int) -> int:
        """Rows of [start, stop) that ran out of time, by the worker's own account."""
        return int(np.count_nonzero(self.faults[program, start:stop] == _TIMEOUT))

    def wrong_label(self, program: int, start: int, stop: int, num_classes: int) -> str | None:
        """Describe the first integer out of range, which a worker takes for a vote."""
        votes = self.votes[program, start:stop]
        if votes.min() >= ABSTAIN and votes.max() < num_classes:
            return None
        wrong = votes[(votes < ABSTAIN) | (votes >= num_classes)]
        return f"returned the integer {wrong[0]}; expected 0..{num_classes - 1}, or {ABSTAIN} to abstain"

    def close(self) -> None:
        """Give the descriptor back, once; the arrays stay."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
