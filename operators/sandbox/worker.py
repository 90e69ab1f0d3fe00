"""A worker: forked from the zygote, locked, and then told over a pipe which program to run on which rows."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import random
from dataclasses import dataclass
from typing import Any

from . import lockdown, namespace, seccomp, wire
from .probes import PROBES, attempt
from .runner import Runner, decoded, described

_PIECE_ROWS = 1024
"""Rows decoded at a time for a program alone: they are used while they are still in the processor's cache."""

_loads = json.loads  # bound before any program could put another in its place

_SPARE = 20  # above every descriptor that is in use


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker is made for.

    Attributes:
        text_bytes: size of the shared texts.
        rows: n.
        programs: in the group.
        seed: of `random`.
        memory_bytes: address space beyond the shared memory.
    """

    text_bytes: int
    rows: int
    programs: int
    seed: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What all workers of a zygote have in common.

    Attributes:
        tick_s: CPU seconds between looks at the row's number.
        need: ticks without a change after which a row is stopped.
        records: whether rows are JSON, to be given as dicts.
        restricted: whether programs get the small namespace.
        layers: "landlock", "seccomp" and "user" as far as they are to be used.
        filter: of seccomp, made once.
    """

    tick_s: float
    need: int
    records: bool
    restricted: bool
    layers: tuple[str, ...]
    filter: bytes


def work(descriptors: list[int], order: Order, options: Options) -> None:
    """Lock the process and serve commands until the pipe ends; the caller must exit after it.

    Args:
        descriptors: of commands, replies, texts and results, in this order.
        order: of this worker.
        options: of all workers.
    """
    lockdown.die_with_parent()
    commands, replies, text_file, result_file = descriptors
    # Private and read-only: the file is sealed against writing, and older kernels then refuse a shared mapping.
    texts = memoryview(mmap.mmap(text_file, order.text_bytes, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))
    result_bytes = 2 * max(1, order.rows * order.programs)
    results = memoryview(mmap.mmap(result_file, result_bytes))
    keep = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _SPARE) for descriptor in (commands, replies)]
    os.dup2(keep[0], wire.COMMANDS)
    os.dup2(keep[1], wire.REPLIES)
    os.closerange(wire.REPLIES + 1, 256)
    lockdown.limit_resources(memory_bytes=order.memory_bytes + order.text_bytes + result_bytes)
    if "seccomp" in options.layers:
        seccomp.install(options.filter)
    random.seed(order.seed)
    _serve(texts, results, order, options)


def _serve(texts: memoryview, results: memoryview, order: Order, options: Options) -> None:
    runner = Runner(tick_s=options.tick_s, need=options.need)
    programs: dict[int, namespace.Program] = {}
    half = len(results) // 2
    votes, faults = results[:half].cast("b"), results[half:]
    rows = order.rows
    current = (0, 0)
    batch: list[Any] = []
    while True:
        sequence, kind, program, timeouts_left, start, stop = wire.COMMAND.unpack(_read(wire.COMMAND.size))
        text = b""
        if kind == wire.LOAD:
            source = _read(start).decode("utf-8", "surrogatepass")
            try:
                programs[program] = namespace.load(source, restricted=options.restricted)
                done = 1
            except BaseException as error:
                done, text = 0, described(error)
        elif kind == wire.RUN:
            own = slice(program * rows, (program + 1) * rows)
            # A group comes back to the same rows, program after program.
            piece = _PIECE_ROWS if order.programs == 1 else stop - start
            runner.timeouts_left = timeouts_left
            done = start
            while done < stop:
                end = min(stop, done + piece)
                if current != (done, end) or options.records:
                    batch, current = [], (done, end)
                    batch = decoded(texts, rows=rows, start=done, stop=end)
                    if options.records:
                        # For each program anew, as one may change its dicts.
                        batch = [_loads(text) for text in batch]
                done, message = runner.run(programs[program], batch, votes=votes[own], faults=faults[own], start=done)
                text = text or message
                if done < end or runner.timeouts_left <= 0:
                    break
        else:
            done = int(attempt(PROBES[program]))
        os.write(wire.REPLIES, wire.REPLY.pack(sequence, done, len(text)) + text)


def _read(size: int) -> bytes:
    parts = []
    while size:
        part = os.read(wire.COMMANDS, min(size, 1 << 16))
        if not part:
            os._exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
