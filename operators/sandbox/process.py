"""Handles of the sandbox's processes: the zygote, and the workers that it forks."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import weakref
from array import array
from pathlib import Path

from operators.errors import SandboxError
from operators.sandbox import wire
from operators.sandbox.memory import Results, Texts

_START_S = 120.0  # a start is 0.1 s; machines that swap take their time
_ANSWER_S = 60.0
# The hash seed is fixed because the order of a set is the order of its hashes, and votes can depend on it.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


class ZygoteGone(Exception):
    """The zygote ended, and all its workers with it."""


class ProtocolBroken(Exception):
    """A worker answered what no worker answers."""


class WorkerGone(Exception):
    """A worker ended, or closed its end of the pipe."""


class Zygote:
    """A running zygote.

    Attributes:
        report: {layer: "" or why the zygote does not have it}.
        pid: of its process.

    Raises:
        ZygoteGone: it was killed while it started.
        SandboxError: it did not start.
    """

    def __init__(self, options: dict[str, object]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        boot = str(Path(__file__).with_name("boot.py"))
        flags = ["-S", "-s", "-P", "-B", "-X", "utf8"]
        with theirs:
            process = subprocess.Popen(
                [sys.executable, *flags, boot, str(theirs.fileno()), json.dumps(options)],
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                close_fds=True,
                pass_fds=[theirs.fileno()],
                cwd="/",
                start_new_session=True,
            )
        self.pid = process.pid
        self._process = process
        self._socket = ours
        self._finalizer = weakref.finalize(self, _end, ours, process)
        ours.settimeout(_START_S)
        late = False
        try:
            report = ours.recv(1 << 16)
        except OSError:
            report, late = b"", True
        if not report:
            self.close()
            code = process.returncode
            if code == -signal.SIGKILL and not late:
                raise ZygoteGone  # killed by somebody else
            raise SandboxError(f"the sandbox's process did not start: {sys.executable} {boot} ended with {code}")
        ours.settimeout(_ANSWER_S)
        self.report: dict[str, str] = json.loads(report)

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def fork(self, order: bytes, descriptors: list[int]) -> int:
        """Make a worker; returns its process id."""
        return self._ask(order, descriptors)

    def reap(self, pid: int) -> int:
        """Kill a worker; returns how it ended, which is by itself when it had ended before."""
        return self._ask(wire.REAP.pack(b"K", pid), [])

    def close(self) -> None:
        """End the process and its workers."""
        self._finalizer()

    def _ask(self, message: bytes, descriptors: list[int]) -> int:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        try:
            self._socket.sendmsg([message], rights)
            answer = self._socket.recv(wire.ANSWER.size)
        except OSError as error:
            raise ZygoteGone from error
        except BaseException:
            # Interrupted in between, the next question would get the answer to this one.
            self.close()
            raise
        if len(answer) != wire.ANSWER.size:
            raise ZygoteGone
        return int(wire.ANSWER.unpack(answer)[0])


def _end(ours: socket.socket, process: subprocess.Popen[bytes]) -> None:
    ours.close()  # the zygote ends at the end of its socket, its workers with it
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Worker:
    """A running worker of one group of programs.

    Attributes:
        pid: of its process.
        replies: descriptor that becomes readable when it answers or ends.
    """

    def __init__(self, zygote: Zygote, *, texts: Texts, results: Results, seed: int, memory_bytes: int) -> None:
        self._zygote = zygote
        self._sequence = secrets.randbits(31)
        programs, rows = results.votes.shape
        order = wire.FORK.pack(b"F", texts.size, rows, programs, seed % 2**64, memory_bytes)
        read_end, commands = os.pipe()
        replies, write_end = os.pipe()
        try:
            self.pid = zygote.fork(order, [read_end, write_end, texts.descriptor, results.descriptor])
        except BaseException:
            os.close(commands)
            os.close(replies)
            raise
        finally:
            os.close(read_end)
            os.close(write_end)
        os.set_blocking(commands, False)  # a worker that does not read must not hold up the others
        self._commands, self.replies = commands, replies
        self._unsent = memoryview(b"")

    @property
    def unsent(self) -> int | None:
        """Descriptor that has to become writable before `send` can go on; None when nothing is left to send."""
        return self._commands if self._unsent else None

    def command(
        self, kind: int, program: int, *, start: int = 0, stop: int = 0, timeouts_left: int = 0, payload: bytes = b""
    ) -> None:
        """Tell the worker what to do next, or as much of it as the pipe takes at once: `send` tells the rest."""
        self._sequence = (self._sequence + 1) % 2**32
        message = wire.COMMAND.pack(self._sequence, kind, program, timeouts_left, start, stop) + payload
        self._unsent = memoryview(message)
        self.send()

    def send(self) -> None:
        """Send what the pipe takes; a worker that is gone is noticed at `reply`."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._commands, self._unsent) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._unsent = memoryview(b"")

    def has_answered(self) -> bool:
        """Whether `reply` would not have to wait."""
        waiting = select.poll()
        waiting.register(self.replies, select.POLLIN)
        return bool(waiting.poll(0))

    def reply(self) -> tuple[int, str]:
        """Read the answer to the last command.

        Returns:
            the number in it and its text, made safe to print; both are whatever the worker says.

        Raises:
            WorkerGone: there will be no answer.
            ProtocolBroken: what came is no answer to the command.
        """
        data = os.read(self.replies, wire.REPLY.size + wire.MAX_TEXT + 1)
        if not data:
            raise WorkerGone
        # Nobody can have understood a command that has not been sent to its end.
        if len(data) < wire.REPLY.size or self._unsent:
            raise ProtocolBroken
        sequence, number, size = wire.REPLY.unpack_from(data)
        text = data[wire.REPLY.size :]
        if sequence != self._sequence or size != len(text) or size > wire.MAX_TEXT:
            raise ProtocolBroken
        return number, shown(text)

    def end(self) -> int | None:
        """Kill it; returns how it ended (below 0: by which signal), None when that is lost with the zygote."""
        os.close(self._commands)
        os.close(self.replies)
        try:
            code = self._zygote.reap(self.pid)
        except ZygoteGone:
            return None
        return None if code == wire.NO_SUCH_CHILD else code


def shown(text: bytes) -> str:
    """Make text from a program safe to log and to print: control characters escaped, 200 characters at most."""
    readable = text.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in readable)[:200]


def signal_name(number: int) -> str:
    """Name a signal; those that have no name of their own go by number."""
    named = {known.value: known.name for known in signal.Signals}
    return named.get(number, f"signal {number}")
