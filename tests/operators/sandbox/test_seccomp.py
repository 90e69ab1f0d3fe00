"""The filters, run here by a small interpreter of their instructions, for machines that are not at hand too."""

from __future__ import annotations

import errno
import struct

import pytest

from operators.sandbox.seccomp import worker_filter, zygote_filter
from operators.sandbox.syscalls import AUDIT_ARCH, NUMBERS

KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
MACHINES = sorted(NUMBERS)
PROT_EXEC, MAP_SHARED, MAP_PRIVATE = 4, 1, 2


def verdict(code: bytes, machine: str, number: int, *arguments: int) -> int:
    """Run a filter on one system call, as the kernel would."""
    values = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, AUDIT_ARCH[machine], 0, *values)
    steps = list(struct.iter_unpack("<HBBI", code))
    accumulator = place = 0
    while True:
        operation, when_true, when_false, k = steps[place]
        place += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif operation == 0x06:
            return int(k)
        else:
            holds = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[operation]
            place += when_true if holds else when_false


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "name", ["fork", "clone", "execve", "socket", "connect", "kill", "ptrace", "bpf", "prctl", "seccomp"]
)
def test_a_worker_dies_of_what_no_text_program_does(machine: str, name: str) -> None:
    """The attempt is to be seen from outside, on every architecture that has the call."""
    number = NUMBERS[machine].get(name)
    if number is not None:
        assert verdict(worker_filter(writable=(4,), machine=machine), machine, number) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_a_worker_may_read_and_write_its_pipes(machine: str) -> None:
    """And write nowhere else."""
    code, numbers = worker_filter(writable=(1, 4), machine=machine), NUMBERS[machine]
    assert verdict(code, machine, numbers["read"], 3) == ALLOW
    assert verdict(code, machine, numbers["write"], 4) == ALLOW
    assert verdict(code, machine, numbers["write"], 5) == ERRNO | errno.EBADF
    assert verdict(code, machine, numbers["setitimer"]) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_memory_is_private_and_never_executable(machine: str) -> None:
    """Shared memory would dodge the limit, executable memory the filter's assumptions."""
    code, numbers = worker_filter(writable=(4,), machine=machine), NUMBERS[machine]
    assert verdict(code, machine, numbers["mmap"], 0, 4096, 3, MAP_PRIVATE) == ALLOW
    assert verdict(code, machine, numbers["mmap"], 0, 4096, 3, MAP_SHARED) == ERRNO | errno.EPERM
    assert verdict(code, machine, numbers["mmap"], 0, 4096, 3 | PROT_EXEC, MAP_PRIVATE) == KILL
    assert verdict(code, machine, numbers["mprotect"], 0, 4096, PROT_EXEC) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_memory_can_be_given_back_but_not_tampered_with(machine: str) -> None:
    """Allocators need four kinds of advice; others take pages from the machine, or tell of other processes' pages."""
    code, numbers = worker_filter(writable=(4,), machine=machine), NUMBERS[machine]
    for advice in (4, 8, 14, 15):  # don't need, free, huge pages, no huge pages
        assert verdict(code, machine, numbers["madvise"], 0, 4096, advice) == ALLOW
    for advice in (9, 12, 18, 100, 101):  # remove, mergeable, wipe on fork, poison, take offline
        assert verdict(code, machine, numbers["madvise"], 0, 4096, advice) == ERRNO | errno.EPERM
    for flag in (0x2000, 0x40000):  # locked, from the machine's reserve of huge pages
        assert verdict(code, machine, numbers["mmap"], 0, 4096, 3, MAP_PRIVATE | flag) == ERRNO | errno.EPERM
    assert verdict(zygote_filter(machine), machine, numbers["madvise"], 0, 4096, 4) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_not_named_fails_softly(machine: str) -> None:
    """A library's lazy import survives EPERM; clone3 is answered as by an old kernel."""
    code = worker_filter(writable=(4,), machine=machine)
    for number in (NUMBERS[machine]["newfstatat"], 56 if machine == "aarch64" else 257, 1000):
        assert verdict(code, machine, number) == ERRNO | errno.EPERM
    assert verdict(code, machine, NUMBERS[machine]["clone3"]) == ERRNO | errno.ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_the_zygote_may_fork_and_not_execute(machine: str) -> None:
    """It makes workers, and nothing else."""
    code, numbers = zygote_filter(machine), NUMBERS[machine]
    assert verdict(code, machine, numbers["clone"]) == ALLOW
    assert verdict(code, machine, numbers["execve"]) == KILL
    assert verdict(code, machine, numbers["socket"]) == KILL


def test_other_numberings_are_refused() -> None:
    """Calls of another architecture and of the x32 interface end the process."""
    code = worker_filter(writable=(4,), machine="x86_64")
    assert verdict(code, "aarch64", NUMBERS["aarch64"]["read"]) == KILL
    assert verdict(code, "x86_64", 0x40000000 | NUMBERS["x86_64"]["read"]) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_distinct(machine: str) -> None:
    """A number that stands twice would be a slip of the table."""
    assert len(set(NUMBERS[machine].values())) == len(NUMBERS[machine])
