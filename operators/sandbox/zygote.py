"""The zygote: a clean process that holds the programs' modules and forks a locked worker in about 2 ms.

It is a new interpreter and never a fork of the caller, whose memory may hold keys and whose threads may hold locks.
It locks itself before it says that it is ready, and ends when the caller's end of the socket closes, however that ends.
"""

from __future__ import annotations

import _socket
import gc
import json
import os
import signal
import struct
import sys
from collections.abc import Callable

from . import lockdown, namespace, seccomp, wire
from .worker import Options, Order, work

_DESCRIPTORS = 4
_SPARE = 20


def main(arguments: list[str]) -> None:
    """Serve one caller until it goes away.

    Args:
        arguments: descriptor of the socket; `Options` as JSON.
    """
    socket = _moved(int(arguments[0]))
    settings = json.loads(arguments[1])
    options = Options(
        **{**settings, "layers": tuple(settings["layers"])},
        filter=seccomp.worker_filter(writable=(1, 2, wire.REPLIES)),
    )
    namespace.preload()
    base = lockdown.address_space()
    report = _lock(options)
    gc.collect()
    gc.freeze()  # what is here now is never looked at again, so workers do not copy its pages
    socket.send(json.dumps(report).encode())
    children: set[int] = set()
    while True:
        message, ancillary, _, _ = socket.recvmsg(4096, 256)
        if not message:
            os._exit(0)
        if message[:1] == b"F":
            answer = _fork(socket, message, _received(ancillary), options, base)
            children.add(answer)
        else:
            _, answer = wire.REAP.unpack(message)
            # A caller's mistake must not kill a stranger's process.
            child, answer = answer, wire.NO_SUCH_CHILD
            if child in children:
                children.discard(child)
                answer = _reap(child)
        socket.send(wire.ANSWER.pack(answer))


def _moved(descriptor: int) -> _socket.socket:
    """Move the socket out of the way of the descriptors that workers use."""
    import fcntl

    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _SPARE)
    os.close(descriptor)
    return _socket.socket(fileno=high)


def _lock(options: Options) -> dict[str, str]:
    """Take every layer asked for; returns {layer: "" or why it is missing}."""
    report = {"memory": _tried(lockdown.first_to_be_killed)}
    if os.geteuid() == 0:
        report["user"] = _tried(lockdown.drop_user) if "user" in options.layers else "left out on request"
    report["privileges"] = _tried(lockdown.no_new_privileges)
    report["dumps"] = _tried(lockdown.not_dumpable)
    report["landlock"] = _tried(_landlock) if "landlock" in options.layers else "left out on request"
    report["seccomp"] = _tried(_seccomp) if "seccomp" in options.layers else "left out on request"
    return report


def _tried(step: Callable[[], object]) -> str:
    try:
        step()
    except (OSError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _landlock() -> None:
    lockdown.landlock()
    # Tried while seccomp does not yet stand before it.
    try:
        os.close(os.open("/", os.O_RDONLY))
    except PermissionError:
        return
    raise OSError("it was taken, and files can still be opened")


def _seccomp() -> None:
    seccomp.install(seccomp.zygote_filter())


def _received(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found: list[int] = []
    for _, _, data in ancillary:
        found += [value for (value,) in struct.iter_unpack("i", data)]
    return found


def _fork(socket: _socket.socket, message: bytes, descriptors: list[int], options: Options, base: int) -> int:
    _, text_bytes, rows, programs, seed, memory_bytes = wire.FORK.unpack(message)
    memory_bytes += base  # the interpreter's own share is not the program's
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            socket.close()
            order = Order(text_bytes=text_bytes, rows=rows, programs=programs, seed=seed, memory_bytes=memory_bytes)
            if len(descriptors) == _DESCRIPTORS:
                work(descriptors, order, options)
        except BaseException as error:
            # The parent sees the end of the pipe; this is for who runs the zygote by hand, with a real stderr.
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            os._exit(97)
    for descriptor in descriptors:
        os.close(descriptor)
    return child


def _reap(child: int) -> int:
    try:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    except OSError:
        return wire.NO_SUCH_CHILD
    return os.waitstatus_to_exitcode(status)
