"""Processes of the sandbox: what they inherit, and that none is left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from operators.sandbox import wire
from operators.sandbox.memory import Results, pack
from operators.sandbox.pool import Limits, Sandbox
from operators.sandbox.process import Worker, WorkerGone, Zygote, shown
from operators.schema import Fault

ROOT = Path(__file__).resolve().parents[3]
ENDLESS = "def label_function(text):\n    return sum(range(10**15))\n"
ONE = "def label_function(text):\n    return 1\n"
SLOW = "def label_function(text):\n    return sum(range(200_000)) % 2\n"


def children(pid: int, *, dead: bool = False) -> list[int]:
    """Find the processes whose parent is this one, also the dead that it has not buried if asked to."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and (dead or fields[0] != "Z"):
            found.append(int(status.parent.name))
    return found


def wait_until(check: object, *, seconds: float = 20) -> bool:
    """Ask again until it holds."""
    assert callable(check)
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_closing_ends_the_processes() -> None:
    """With the block ends the zygote."""
    with Sandbox([SLOW], num_classes=2, limits=Limits()) as sandbox:
        pid = sandbox._zygote.pid
        assert not gone(pid)
    assert gone(pid)


@pytest.mark.slow
def test_the_death_of_the_parent_ends_the_processes() -> None:
    """A parent that is killed in the middle of an endless row leaves neither zygote nor worker."""
    code = (
        "from operators.sandbox.pool import Limits, Sandbox\n"
        f"with Sandbox([{ENDLESS!r}], num_classes=2, limits=Limits(row_kill_s=600)) as sandbox:\n"
        "    sandbox.run(['a'], seed=0)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        assert wait_until(lambda: any(children(zygote) for zygote in children(parent.pid)))
        (zygote,) = children(parent.pid)
        family = [zygote, *children(zygote)]
    finally:
        parent.kill()
        parent.wait()
    assert wait_until(lambda: all(gone(pid) for pid in family), seconds=5)


@pytest.mark.slow
def test_the_zygote_s_death_in_the_middle_loses_no_vote() -> None:
    """The rows that were under way are run again by a new one."""
    texts = ["a"] * 100
    with Sandbox([SLOW, SLOW], num_classes=2, limits=Limits(sample_rows=30)) as sandbox:
        pid = sandbox._zygote.pid
        killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
        killer.start()
        outcome = sandbox.run(texts, seed=0)
        killer.join()
        assert sandbox._zygote.pid != pid
    expected = sum(range(200_000)) % 2
    assert (outcome.votes == expected).all()
    assert not outcome.faults.any()


def test_a_program_sees_neither_environment_nor_packages() -> None:
    """The child starts with three variables, and the path leads to the standard library alone."""
    source = (
        "import os, sys\nKEYS = set(os.environ) - {'PYTHONHASHSEED', 'LANG', 'LC_ALL'}\n"
        "BAD = [p for p in sys.path if 'site-packages' in p or 'sandbox' in p]\n"
        "def label_function(text):\n    return 1 if KEYS or BAD or 'operators' in sys.modules else 0\n"
    )
    with Sandbox([source], num_classes=2, limits=Limits(restricted=False)) as sandbox:
        outcome = sandbox.run(["a"], seed=0)
    assert outcome.faults.tolist() == [[Fault.NONE]]
    assert outcome.votes.tolist() == [[0]]


def test_shown_text_is_escaped_and_cut() -> None:
    """What a program says cannot forge a line of a log."""
    assert shown(b"a\nb\x1b[2J") == "a\\nb\\x1b[2J"
    assert shown(b"\xff" * 500) == ("\\xff" * 500)[:200]
    assert shown("é 日".encode()) == "é 日"


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker that is stopped, so that it reads nothing."""
    zygote = Zygote(Limits().options())
    texts, results = pack([]), Results(1, 0)
    made = Worker(zygote, texts=texts, results=results, seed=0, memory_bytes=64 << 20)
    try:
        os.kill(made.pid, signal.SIGSTOP)
        yield made
        made.end()
    finally:
        results.close()
        os.close(texts.descriptor)
        zygote.close()


def test_a_worker_that_does_not_read_holds_up_nobody(worker: Worker) -> None:
    """A command larger than the pipe is sent as there is room, and understood when it has all arrived."""
    source = f"{ONE}# {'x' * 900_000}".encode()
    start = time.process_time(), time.monotonic()
    worker.command(wire.LOAD, 0, start=len(source), payload=source)
    assert time.process_time() - start[0] < 0.5
    assert time.monotonic() - start[1] < 5  # it takes a millisecond; a busy machine may take its time
    assert worker.unsent is not None
    os.kill(worker.pid, signal.SIGCONT)
    while worker.unsent is not None:
        select.select([], [worker.unsent], [], 20)
        worker.send()
    assert worker.reply() == (1, "")


def test_a_worker_that_ends_is_sent_nothing_more(worker: Worker) -> None:
    """Its end is noticed where its answer would be."""
    source = b"#" * wire.MAX_SOURCE
    worker.command(wire.LOAD, 0, start=len(source), payload=source)
    os.kill(worker.pid, signal.SIGKILL)
    assert wait_until(lambda: worker.has_answered())
    worker.send()
    assert worker.unsent is None
    with pytest.raises(WorkerGone):
        worker.reply()


@pytest.mark.slow
def test_a_group_that_reads_no_commands_delays_no_other() -> None:
    """A program that answers for the harness and never returns to it leaves the next command in the pipe."""
    forger = (
        "import os, struct, sys\nframe = sys._getframe()\n"
        "while 'sequence' not in frame.f_locals: frame = frame.f_back\n"
        "os.write(4, struct.pack('<IQI', frame.f_locals['sequence'], 1, 0))\nwhile True: pass\n"
    )
    limits = Limits(row_timeout_s=0.06, row_kill_s=0.3, load_timeout_s=0.3, restricted=False, group_size=2)
    start = time.monotonic()
    with Sandbox([forger, f"# {'x' * 900_000}\n{ONE}", SLOW, ONE], num_classes=2, limits=limits) as sandbox:
        outcome = sandbox.run(["a"] * 40, seed=0)
    assert time.monotonic() - start < 8
    assert not outcome.faults[:, 2:].any()
    assert outcome.votes[:, 3].tolist() == [1] * 40
    assert outcome.quarantined[0] is not None


@pytest.mark.slow
def test_an_interrupted_call_leaves_a_sandbox_that_works() -> None:
    """After Ctrl-C between question and answer, the answer is not taken for that to the next question."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with Sandbox([ONE, SLOW], num_classes=2, limits=Limits()) as sandbox:
            os.kill(sandbox._zygote.pid, signal.SIGSTOP)
            start = time.monotonic()
            killer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
            killer.start()
            with pytest.raises(KeyboardInterrupt):
                sandbox.run(["a"], seed=0)
            killer.join()
            assert time.monotonic() - start < 30  # it would be 60 s, were the old zygote asked once more
            outcome = sandbox.run(["a"], seed=0)
            assert outcome.votes[:, 0].tolist() == [1]
            assert not outcome.faults.any()
    finally:
        signal.signal(signal.SIGUSR1, before)


def resident_bytes(pid: int) -> int:
    """Memory that a process has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> list[str] | None:
    """Open files of a process; None where only root may look."""
    try:
        return sorted(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - the entries may vanish meanwhile
    except PermissionError:
        return None


@pytest.mark.slow
def test_many_calls_leave_nothing_behind() -> None:
    """Neither open files nor dead children nor memory, in the caller and in the zygote, crashes included."""
    crash = "import os\ndef label_function(text):\n    return 1 if text else os.abort()\n"
    texts = ["a", "", "b"]
    limits = Limits(restricted=False)
    with Sandbox([ONE, crash], num_classes=2, limits=limits) as sandbox:
        zygote = sandbox._zygote.pid
        for call in range(330):
            if call == 30:
                before = [(descriptors(pid), resident_bytes(pid)) for pid in (os.getpid(), zygote)]
            outcome = sandbox.run(texts, seed=call)
            assert not outcome.faults[:, 0].any()
        after = [(descriptors(pid), resident_bytes(pid)) for pid in (os.getpid(), zygote)]
        assert sandbox._zygote.pid == zygote
        assert not children(zygote, dead=True)
    for (files, memory), (files_after, memory_after) in zip(before, after, strict=True):
        assert files_after == files
        assert memory_after - memory < 8 << 20
