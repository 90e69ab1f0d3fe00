"""What the parent, the zygote and its workers say to each other: fixed structs, and nothing that builds objects.

A worker's answers are untrusted. They are read as numbers and as at most `MAX_TEXT` bytes of text.
"""

from __future__ import annotations

import struct

COMMANDS, REPLIES = 3, 4
"""A worker's descriptors: it reads commands from one and writes replies to the other."""

PENDING = -128
"""A vote that has not been cast. A program may return it too: that is then a bad label, of its own column."""

EXCEPTION, TIMEOUT, MEMORY, BAD_LABEL = 1, 2, 3, 4
"""What a worker writes beside a vote; the values of `operators.schema.Fault`, which a child cannot import."""

LOAD, RUN, PROBE = 1, 2, 3
"""Kinds of command: load the source that follows; run rows; try something forbidden."""

COMMAND = struct.Struct("<IIIIQQ")
"""Sequence number, kind, program in the group, timeouts left, start row (length of the source), stop row."""

REPLY = struct.Struct("<IQI")
"""Sequence number of the command, next row (LOAD: 1 when loaded), bytes of text that follow."""

MAX_SOURCE = 1 << 20
"""Bytes of a program's source; what a person or a model writes has a hundredth of it."""

TEXT_HEADER = 5
"""Bytes before each shared text: the letter u and the length as int32, which is how marshal writes a string."""

MAX_TEXT = 1000
"""Bytes of text in a reply; with the header it stays below PIPE_BUF, so a reply arrives in one piece."""

FORK = struct.Struct("<cQQIQQ")
"""b"F", bytes of texts, rows, programs in the group, seed, memory in bytes; with it go the worker's 4 descriptors."""

REAP = struct.Struct("<ci")
"""b"K" and a process id: kill it and say how it ended."""

ANSWER = struct.Struct("<i")
"""The zygote's answer: the process id of a new worker, or how a worker ended (below 0: by which signal)."""

NO_SUCH_CHILD = -1000
"""How a worker ended that the zygote does not know."""
