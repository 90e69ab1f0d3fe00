"""Giving up rights: what a process sheds before it runs anything that nobody has read.

Through ctypes alone, so that there is nothing to compile and nothing to install. Every step raises OSError where the
kernel or a container refuses it; who calls decides whether that is the end.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import struct

_NOBODY = 65534
_SET_DEATH_SIGNAL, _SET_DUMPABLE, _DROP_BOUND, _SET_NO_NEW_PRIVS = 1, 4, 24, 38
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same numbers on every architecture
_LANDLOCK_VERSION = 1
_libc = ctypes.CDLL(None, use_errno=True)


def no_new_privileges() -> None:
    """Make setuid programs harmless, which the kernel wants before it takes a filter from a user."""
    _prctl(_SET_NO_NEW_PRIVS, 1)


def not_dumpable() -> None:
    """Close `/proc/<pid>/mem` and the like to processes of the same user, and write no core file."""
    _prctl(_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """Be killed when the parent ends; only for children of single-threaded parents, since it follows the thread."""
    _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)


def first_to_be_killed() -> None:
    """Have the kernel choose this process, not its parent, when memory runs out."""
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - pathlib costs a child's start 5 ms
        file.write("1000")


def landlock() -> int:
    """Deny every file, TCP port, abstract socket and signal outside, as far as the kernel's version can.

    Returns:
        the version of Landlock.
    """
    version = _syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    files = (1 << 13) - 1
    for since, right in ((2, 13), (3, 14), (5, 15)):  # refer, truncate, ioctl on devices
        if version >= since:
            files |= 1 << right
    ruleset = struct.pack("<Q", files)
    if version >= 4:
        ruleset += struct.pack("<Q", 0b11)  # bind and connect
    if version >= 6:
        ruleset += struct.pack("<Q", 0b11)  # abstract unix sockets and signals
    descriptor = _syscall(_LANDLOCK_CREATE, ctypes.c_char_p(ruleset), len(ruleset), 0)
    try:
        _syscall(_LANDLOCK_RESTRICT, descriptor, 0)
    finally:
        os.close(descriptor)
    return version


def drop_user() -> bool:
    """Stop being root.

    Returns:
        False where the process was not root to begin with.
    """
    if os.geteuid() != 0:
        return False
    for capability in range(64):
        try:
            _prctl(_DROP_BOUND, capability)
        except OSError:
            break
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    return True


def address_space() -> int:
    """Bytes of address space that the process has now; to be asked while files can still be opened."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - as above
        return int(file.read().split()[0]) * resource.getpagesize()


def limit_resources(*, memory_bytes: int) -> None:
    """Bound memory, and leave no files, core dumps, processes or locked memory."""
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_NOFILE, 8)
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC, resource.RLIMIT_MEMLOCK):
        _limit(kind, 0)
    _limit(resource.RLIMIT_MSGQUEUE, 0)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (bound, bound))


def _prctl(*arguments: int) -> None:
    padded = [*arguments, *[0] * (5 - len(arguments))]
    _check(_libc.prctl(*[ctypes.c_ulong(value) for value in padded]))


def _syscall(number: int, *arguments: object) -> int:
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _check(_libc.syscall(ctypes.c_long(number), *values))


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno() or errno.EINVAL
        raise OSError(code, os.strerror(code))
    return result
