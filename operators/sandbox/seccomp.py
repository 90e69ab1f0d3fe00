"""The seccomp filters: what the zygote and its workers may still ask of the kernel.

An allow-list, since a kernel gains calls with every release. Calls that no text program has a reason to make kill the
process, so that the attempt is seen from outside; everything else, files above all, fails with EPERM, which a
library's lazy import survives.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from .syscalls import AUDIT_ARCH, NUMBERS, names

_WORKER_CALLS = names(
    "read futex munmap mremap brk rt_sigreturn rt_sigprocmask rt_sigaction setitimer getitimer clock_gettime "
    "clock_getres gettimeofday time getpid gettid getrandom close exit exit_group sigaltstack sched_yield "
    "restart_syscall getrusage times"
)

_ZYGOTE_CALLS = _WORKER_CALLS + names(
    "madvise poll ppoll lseek fstat write newfstatat ioctl clone fork vfork wait4 kill sendmsg recvmsg recvfrom sendto "
    "close_range dup dup2 dup3 prctl seccomp prlimit64 setrlimit getrlimit set_robust_list rseq fcntl getppid getuid"
)

_KILLED_CALLS = names(
    "execve execveat fork vfork clone socket socketpair connect bind listen accept accept4 sendto sendmsg sendmmsg "
    "recvfrom recvmsg recvmmsg ptrace process_vm_readv process_vm_writev kill tkill pidfd_send_signal pidfd_open "
    "pidfd_getfd bpf userfaultfd io_uring_setup io_uring_enter io_uring_register mount unshare setns keyctl add_key "
    "request_key perf_event_open init_module finit_module delete_module kexec_load kexec_file_load open_by_handle_at "
    "memfd_create shmget shmat shmctl shmdt setuid prctl seccomp"
)

_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments are 8 bytes each, low word first
_PROT_EXEC = 4
_SHARED_LOCKED_OR_HUGE = 0x1 | 0x2000 | 0x40000  # memory that the limit of a process does not count, or others lack
# Don't need, free, (no) huge pages. Others let root mark memory as broken, or show what other processes hold.
_ADVICE = (4, 8, 14, 15)
_X32_BIT = 0x40000000
_SET_MODE_FILTER = 1


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def zygote_filter(machine: str | None = None) -> bytes:
    """Build the filter of the process that forks the workers."""
    return _filter(machine or platform.machine(), _ZYGOTE_CALLS, writable=None, share=True)


def worker_filter(*, writable: tuple[int, ...], machine: str | None = None) -> bytes:
    """Build the filter of a worker.

    Args:
        writable: the descriptors it may write to.
        machine: as `platform.machine` says; a key of `NUMBERS`.
    """
    return _filter(machine or platform.machine(), _WORKER_CALLS, writable=writable, share=False)


def install(instructions: bytes) -> None:
    """Put the calling process under a filter, for good. Needs NO_NEW_PRIVS.

    Raises:
        OSError: the kernel refuses it.
        KeyError: this architecture has no table of calls.
    """
    number = NUMBERS[platform.machine()]["seccomp"]
    program = _Program(len(instructions) // 8, instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(number), ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(0), ctypes.byref(program)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _filter(machine: str, allowed: tuple[str, ...], *, writable: tuple[int, ...] | None, share: bool) -> bytes:
    numbers = NUMBERS[machine]
    # A call of another architecture has other numbers, so nothing after this would mean what it says.
    code = [_step(_LOAD, k=_ARCH), _step(_EQUAL, 1, 0, AUDIT_ARCH[machine]), _give(_KILL), _step(_LOAD, k=_NUMBER)]
    if machine == "x86_64":
        code += [_step(_AT_LEAST, 0, 1, _X32_BIT), _give(_KILL)]
    if writable is not None:
        code += _only(numbers["write"], _one_of(0, writable, errno.EBADF))
        code += _only(numbers["madvise"], _one_of(2, _ADVICE, errno.EPERM))
    protection = [_step(_LOAD, k=_ARGUMENTS + 16), _step(_ANY_BIT, 0, 1, _PROT_EXEC), _give(_KILL)]
    private = [_step(_LOAD, k=_ARGUMENTS + 24), _step(_ANY_BIT, 0, 1, _SHARED_LOCKED_OR_HUGE)]
    private.append(_give(_ERRNO | errno.EPERM))
    code += _only(numbers["mmap"], [*protection, *([] if share else private), _give(_ALLOW)])
    code += _only(numbers["mprotect"], [*protection, _give(_ALLOW)])
    # clone3 keeps its flags in memory that a filter cannot read; ENOSYS makes the C library use clone instead.
    actions = {"clone3": _ERRNO | errno.ENOSYS}
    actions |= dict.fromkeys(_KILLED_CALLS, _KILL) | dict.fromkeys(allowed, _ALLOW)
    for name, action in actions.items():
        if name in numbers:
            code += _only(numbers[name], [_give(action)])
    return b"".join([*code, _give(_ERRNO | errno.EPERM)])


def _only(number: int, block: list[bytes]) -> list[bytes]:
    """Run a block for one system call; every path through it returns."""
    return [_step(_EQUAL, 0, len(block), number), *block]


def _one_of(argument: int, values: tuple[int, ...], otherwise: int) -> list[bytes]:
    """Allow a call if one of its arguments is among the values, and have it fail otherwise."""
    block = [_step(_LOAD, k=_ARGUMENTS + 8 * argument)]
    for value in values:
        block += [_step(_EQUAL, 0, 1, value), _give(_ALLOW)]
    return [*block, _give(_ERRNO | otherwise)]


def _step(code: int, when_true: int = 0, when_false: int = 0, k: int = 0) -> bytes:
    return struct.pack("<HBBI", code, when_true, when_false, k)


def _give(action: int) -> bytes:
    return _step(_RETURN, k=action)
