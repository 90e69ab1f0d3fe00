"""Numbers of the system calls that the filter names, for the two architectures it is written for.

From the kernel's tables (`arch/x86/entry/syscalls/syscall_64.tbl`, `include/uapi/asm-generic/unistd.h`). A call that an
architecture lacks is not in its table, and the filter then has no rule for it.
"""

from __future__ import annotations

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""{machine: the value that a filter sees as the architecture of a call}."""

_X86_64 = (
    "read=0 write=1 open=2 close=3 stat=4 fstat=5 lstat=6 poll=7 lseek=8 mmap=9 mprotect=10 munmap=11 brk=12 "
    "rt_sigaction=13 rt_sigprocmask=14 rt_sigreturn=15 ioctl=16 sched_yield=24 mremap=25 madvise=28 shmget=29 shmat=30 "
    "shmctl=31 dup=32 dup2=33 getitimer=36 setitimer=38 getpid=39 socket=41 connect=42 accept=43 sendto=44 recvfrom=45 "
    "sendmsg=46 recvmsg=47 bind=49 listen=50 socketpair=53 clone=56 fork=57 vfork=58 execve=59 exit=60 wait4=61 "
    "kill=62 shmdt=67 fcntl=72 ftruncate=77 gettimeofday=96 getrlimit=97 getrusage=98 times=100 ptrace=101 getuid=102 "
    "setuid=105 getppid=110 sigaltstack=131 prctl=157 setrlimit=160 mount=165 init_module=175 delete_module=176 "
    "gettid=186 tkill=200 time=201 futex=202 restart_syscall=219 clock_gettime=228 clock_getres=229 exit_group=231 "
    "tgkill=234 kexec_load=246 add_key=248 request_key=249 keyctl=250 newfstatat=262 unshare=272 set_robust_list=273 "
    "accept4=288 dup3=292 perf_event_open=298 recvmmsg=299 prlimit64=302 open_by_handle_at=304 sendmmsg=307 setns=308 "
    "process_vm_readv=310 process_vm_writev=311 finit_module=313 seccomp=317 getrandom=318 memfd_create=319 "
    "kexec_file_load=320 bpf=321 execveat=322 userfaultfd=323 rseq=334 pidfd_send_signal=424 io_uring_setup=425 "
    "io_uring_enter=426 io_uring_register=427 pidfd_open=434 clone3=435 close_range=436 pidfd_getfd=438"
)

_AARCH64 = (
    "dup=23 dup3=24 fcntl=25 ioctl=29 mount=40 ftruncate=46 close=57 lseek=62 read=63 write=64 ppoll=73 newfstatat=79 "
    "fstat=80 exit=93 exit_group=94 unshare=97 futex=98 set_robust_list=99 getitimer=102 setitimer=103 kexec_load=104 "
    "init_module=105 delete_module=106 clock_gettime=113 clock_getres=114 ptrace=117 sched_yield=124 "
    "restart_syscall=128 kill=129 tkill=130 tgkill=131 sigaltstack=132 rt_sigaction=134 rt_sigprocmask=135 "
    "rt_sigreturn=139 setuid=146 times=153 getrlimit=163 setrlimit=164 getrusage=165 prctl=167 gettimeofday=169 "
    "getpid=172 getppid=173 getuid=174 gettid=178 shmget=194 shmctl=195 shmat=196 shmdt=197 socket=198 socketpair=199 "
    "bind=200 listen=201 accept=202 connect=203 sendto=206 recvfrom=207 sendmsg=211 recvmsg=212 brk=214 munmap=215 "
    "mremap=216 add_key=217 request_key=218 keyctl=219 clone=220 execve=221 mmap=222 mprotect=226 madvise=233 "
    "perf_event_open=241 accept4=242 recvmmsg=243 wait4=260 prlimit64=261 open_by_handle_at=265 setns=268 sendmmsg=269 "
    "process_vm_readv=270 process_vm_writev=271 finit_module=273 seccomp=277 getrandom=278 memfd_create=279 bpf=280 "
    "execveat=281 userfaultfd=282 rseq=293 kexec_file_load=294 pidfd_send_signal=424 io_uring_setup=425 "
    "io_uring_enter=426 io_uring_register=427 pidfd_open=434 clone3=435 close_range=436 pidfd_getfd=438"
)


def names(text: str) -> tuple[str, ...]:
    """Split a list of names that is written as a text."""
    return tuple(text.split())


def _table(text: str) -> dict[str, int]:
    return {name: int(number) for name, number in (entry.split("=") for entry in text.split())}


NUMBERS: dict[str, dict[str, int]] = {"x86_64": _table(_X86_64), "aarch64": _table(_AARCH64)}
"""{machine: {name of a system call: its number}}."""
