"""The sandbox from outside: each fault has its code, and no program costs another its votes."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest

from operators.errors import SandboxError
from operators.sandbox import wire
from operators.sandbox.pool import Limits, Outcome, Sandbox
from operators.schema import Fault

ONE = "def label_function(text):\n    return 1\n"
LENGTH = "def label_function(text):\n    return len(text) % 3 - 1\n"
QUICK = Limits(row_timeout_s=0.06, row_kill_s=0.3, blocked_s=2.0, load_timeout_s=0.5)


def run(sources: Sequence[str], texts: Sequence[str | None], *, limits: Limits = QUICK, seed: int = 0) -> Outcome:
    """Run programs over texts in a sandbox of their own."""
    with Sandbox(sources, num_classes=2, limits=limits) as sandbox:
        return sandbox.run(texts, seed=seed)


def program(body: str, *, top: str = "") -> str:
    """Write a program that does something on rows with an x, and votes 1 on others."""
    return f"{top}\ndef label_function(text):\n    if 'x' not in text:\n        return 1\n    {body}\n"


def test_codes_of_the_child_are_the_schema_s() -> None:
    """The child cannot import the schema, so its numbers are written twice."""
    assert (wire.EXCEPTION, wire.TIMEOUT, wire.MEMORY, wire.BAD_LABEL) == (
        Fault.EXCEPTION, Fault.TIMEOUT, Fault.MEMORY, Fault.BAD_LABEL,
    )  # fmt: skip


def test_votes_stand_by_row_and_program() -> None:
    """The matrix has a row a text and a column a program."""
    outcome = run([ONE, LENGTH], ["a", "bb", "ccc"])
    assert outcome.votes.tolist() == [[1, 0], [1, 1], [1, -1]]
    assert outcome.votes.dtype == np.int8
    assert outcome.faults.dtype == np.uint8
    assert not outcome.faults.any()
    assert outcome.messages == outcome.quarantined == outcome.load_errors == (None, None)


@pytest.mark.parametrize(
    ("body", "fault", "message"),
    [
        ("return {}[text]", Fault.EXCEPTION, "KeyError"),
        ("raise BaseException('odd')", Fault.EXCEPTION, "odd"),
        ("return 'spam'", Fault.BAD_LABEL, "'spam'"),
        ("return 7", Fault.BAD_LABEL, "integer 7"),
        ("return -2", Fault.BAD_LABEL, "integer -2"),
        (f"return {wire.PENDING}", Fault.BAD_LABEL, "integer -128"),
        ("return 10**40 * 10", Fault.BAD_LABEL, "very large"),
        ("return None", Fault.BAD_LABEL, "NoneType"),
        ("return 1.0", Fault.BAD_LABEL, "float"),
        ("while True: pass", Fault.TIMEOUT, "time"),
        ("return len('a' * 10**10)", Fault.MEMORY, "MemoryError"),
    ],
)
def test_each_fault_has_its_code(body: str, fault: Fault, message: str) -> None:
    """Exactly the faulted row abstains, with the code and a message that says what happened."""
    outcome = run([ONE, program(body), LENGTH], ["a", "x", "bb"])
    assert outcome.faults.tolist() == [[0, 0, 0], [0, fault, 0], [0, 0, 0]]
    assert outcome.votes.tolist() == [[1, 1, 0], [1, -1, 0], [1, 1, 1]]
    assert message in str(outcome.messages[1])
    assert outcome.quarantined == (None, None, None)


@pytest.mark.slow
def test_a_c_loop_is_killed_from_outside_and_the_next_row_goes_on() -> None:
    """What no signal interrupts costs its own row alone."""
    outcome = run([program("return all(iter(int, 1)) or sum(range(10**14))")], ["a", "x", "b", "c"])
    assert outcome.faults[:, 0].tolist() == [0, Fault.TIMEOUT, 0, 0]
    assert outcome.votes[:, 0].tolist() == [1, -1, 1, 1]
    assert "CPU" in str(outcome.messages[0])


def unrestricted(**changes: object) -> Limits:
    """Limits under which programs have all builtins."""
    return Limits(row_timeout_s=0.06, row_kill_s=0.3, blocked_s=2.0, restricted=False, **changes)  # type: ignore[arg-type]


def test_a_crash_costs_the_row_and_three_the_rest() -> None:
    """A dead worker is replaced; the third death ends the program's run."""
    source = program("os.abort()", top="import os")
    outcome = run([source, ONE], ["a", "x", "b", "x", "x", "b", "x"], limits=unrestricted())
    crash, gone = Fault.CRASH, Fault.QUARANTINED
    assert outcome.faults[:, 0].tolist() == [0, crash, 0, crash, crash, gone, gone]
    assert not outcome.faults[:, 1].any()
    assert "killed by SIG" in str(outcome.quarantined[0])


def test_a_forbidden_call_quarantines_at_once() -> None:
    """A program that tries to start a process is not run again."""
    source = program("os.fork()", top="import os")
    outcome = run([source, ONE], ["a", "x", "b", None], limits=unrestricted())
    assert outcome.faults[:, 0].tolist() == [0, Fault.VIOLATION, Fault.QUARANTINED, 0]
    assert "forbidden system call" in str(outcome.quarantined[0])
    assert outcome.votes[:, 1].tolist() == [1, 1, 1, -1]


def test_a_forged_reply_quarantines_at_once() -> None:
    """Bytes that are no answer end the program's run, whatever they are."""
    source = program("os.write(4, b'cposix\\nsystem\\n' * 50); return 1", top="import os")
    outcome = run([source], ["a", "x", "b"], limits=unrestricted())
    assert "protocol" in str(outcome.quarantined[0])
    assert Fault.VIOLATION in outcome.faults[:, 0]


def test_ten_slow_rows_quarantine() -> None:
    """A program that is always too slow is not waited for row by row."""
    limits = Limits(row_timeout_s=0.01, max_timeouts=3)
    outcome = run(["def label_function(text):\n    while True: pass\n"], ["a"] * 6, limits=limits)
    late, gone = Fault.TIMEOUT, Fault.QUARANTINED
    assert outcome.faults[:, 0].tolist() == [late, late, late, gone, gone, gone]
    assert "ran out of time" in str(outcome.quarantined[0])


def test_swallowing_the_timeout_gains_nothing() -> None:
    """The row that was stopped abstains and counts, even if the program catches the exception and votes."""
    source = program("""
    try:
        while True: pass
    except BaseException:
        return 1""")
    limits = Limits(row_timeout_s=0.01, max_timeouts=2)
    outcome = run([source], ["x", "a", "x", "a"], limits=limits)
    assert outcome.faults[:, 0].tolist() == [Fault.TIMEOUT, 0, Fault.TIMEOUT, Fault.QUARANTINED]
    assert outcome.votes[:, 0].tolist() == [-1, 1, -1, -1]


def test_a_program_that_mostly_fails_is_quarantined_after_the_sample() -> None:
    """Over half of the first rows failed: the rest is not tried. Half is still let through."""
    limits = Limits(sample_rows=10)
    bad, fair = run(
        [program("return {}[0]"), program("return 0")], ["x"] * 6 + ["a"] * 20, limits=limits
    ).faults.T.tolist()
    assert bad == [Fault.EXCEPTION] * 6 + [0] * 4 + [Fault.QUARANTINED] * 16
    assert fair == [0] * 26
    assert run([program("return {}[0]")], ["x"] * 5 + ["a"] * 20, limits=limits).quarantined == (None,)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import numpy\n" + ONE, "numpy"),
        ("X = 1\n", "label_function"),
        ("1 / 0\n" + ONE, "ZeroDivisionError"),
        ("def label_function(:\n", "SyntaxError"),
        ("while True: pass\n" + ONE, "CPU"),
        ("X = ['a' * 10**9 for _ in range(9)]\n" + ONE, "MemoryError"),
    ],
)
def test_a_program_that_does_not_load_is_reported(source: str, reason: str) -> None:
    """It is named with the reason, with rows and without, and its neighbour votes."""
    with Sandbox([source, ONE], num_classes=2, limits=QUICK) as sandbox:
        for texts in ([], ["a", None]):
            outcome = sandbox.run(texts, seed=0)
            assert reason in str(outcome.load_errors[0])
            assert outcome.quarantined[0] is not None
            assert outcome.load_errors[1] is None
            assert outcome.votes.shape == (len(texts), 2)
        assert outcome.faults.tolist() == [[Fault.QUARANTINED, 0], [0, 0]]
        assert outcome.votes.tolist() == [[-1, 1], [-1, -1]]


def test_null_rows_are_never_shown() -> None:
    """A null is no text: nobody votes on it and nobody faults."""
    outcome = run(["def label_function(text):\n    return text.count('')\n", ONE], [None, "", None])
    assert outcome.votes.tolist() == [[-1, -1], [1, 1], [-1, -1]]
    assert not outcome.faults.any()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_arrow_arrays_are_read_as_lists_are(kind: pa.DataType) -> None:
    """Whatever the layout, slices and nulls included."""
    texts = ["skipped", "a", None, "é", "bb", "日本語", ""]
    array = pa.array(texts, pa.string()).cast(kind)[1:]
    with Sandbox([LENGTH], num_classes=2, limits=Limits()) as sandbox:
        assert sandbox.run(array, seed=0).votes.tolist() == sandbox.run(texts[1:], seed=0).votes.tolist()
        chunked = pa.chunked_array([array[:2], array[2:]])
        assert sandbox.run(chunked, seed=0).votes.tolist() == sandbox.run(texts[1:], seed=0).votes.tolist()
        assert sandbox.run(pa.nulls(2), seed=0).votes.tolist() == [[-1], [-1]]
        with pytest.raises(ValueError, match="strings"):
            sandbox.run(pa.array([1]), seed=0)


def test_texts_reach_a_program_unchanged() -> None:
    """Lone surrogates, NUL and what is beyond the first plane included."""
    texts = ["\ud800", "\0", "\U0001f600", "a\r\n", "é" * 3]
    source = (
        f"TEXTS = {[ascii(t) for t in texts]}\ndef label_function(text):\n    return TEXTS.index(ascii(text)) % 2\n"
    )
    outcome = run([source], texts)
    assert outcome.votes[:, 0].tolist() == [0, 1, 0, 1, 0]


def test_nothing_passes_from_one_call_to_the_next() -> None:
    """A counter starts again, and chance repeats with its seed."""
    counter = "n = 0\ndef label_function(text):\n    global n\n    n += 1\n    return n % 2\n"
    chance = "import random\ndef label_function(text):\n    return random.randint(0, 1)\n"
    with Sandbox([counter, chance], num_classes=2, limits=Limits()) as sandbox:
        first, second, other = (sandbox.run(["a"] * 33, seed=seed).votes for seed in (1, 1, 2))
    assert first.tolist() == second.tolist()
    assert first[:, 1].tolist() != other[:, 1].tolist()
    assert first[:3, 0].tolist() == [1, 0, 1]


def test_batches_share_a_worker_and_change_nothing() -> None:
    """However the rows are cut, by number or by bytes, state goes on from batch to batch."""
    counter = "n = 0\ndef label_function(text):\n    global n\n    n += len(text)\n    return n % 2\n"
    texts = ["a" * (row % 7) for row in range(100)]
    whole = run([counter, LENGTH], texts).votes
    assert (run([counter, LENGTH], texts, limits=Limits(batch_rows=7, sample_rows=3)).votes == whole).all()
    assert (run([counter, LENGTH], texts, limits=Limits(batch_bytes=5)).votes == whole).all()
    assert (run([counter, LENGTH], texts, limits=Limits(group_size=2, inflight=1)).votes == whole).all()


def test_programs_in_a_group_fail_alone() -> None:
    """They share a worker, and still each loss is charged to who caused it."""
    sources = [ONE, "import nothing\n", program("os.abort()", top="import os"), LENGTH]
    outcome = run(sources, ["a", "x", "bb"], limits=unrestricted(group_size=4, batch_rows=1, sample_rows=1))
    assert outcome.faults.tolist() == [[0, 7, 0, 0], [0, 7, 5, 0], [0, 7, 0, 0]]
    assert outcome.votes.tolist() == [[1, -1, 1, 0], [1, -1, -1, 0], [1, -1, 1, 1]]


def test_a_leaking_program_gets_a_fresh_worker() -> None:
    """Memory that a program keeps is given back between batches, before it becomes a fault."""
    source = "KEPT = []\ndef label_function(text):\n    KEPT.append(bytearray(6 << 20))\n    return len(KEPT) % 2\n"
    limits = Limits(memory_bytes=64 << 20, recycle_bytes=32 << 20, batch_rows=8, sample_rows=8)
    outcome = run([source], ["a"] * 24, limits=limits)
    assert not outcome.faults.any()
    assert outcome.votes[:, 0].tolist() == [1, 0] * 12


def test_a_message_is_safe_to_print() -> None:
    """Control characters and lone surrogates are escaped, and length is bounded."""
    source = program(r"raise ValueError('\ud800\n2026 FATAL\x1b[2J' + 'a' * 10**6)")
    (message,) = run([source], ["x"]).messages
    assert message is not None
    assert message.isprintable()
    assert len(message) <= 200
    assert "FATAL" in message


def test_getattr_reaches_public_names_only() -> None:
    """The guard holds for names that are built at run time."""
    outcome = run([program("return getattr(text, '__cl' + 'ass__')"), program("return hasattr(text, 'lower')")], ["x"])
    assert outcome.faults.tolist() == [[Fault.EXCEPTION, 0]]
    assert outcome.votes.tolist() == [[-1, 1]]


def test_the_zygote_s_death_is_survived() -> None:
    """A new one is started, and no vote is lost."""
    with Sandbox([ONE, LENGTH], num_classes=2, limits=Limits()) as sandbox:
        before = sandbox.run(["a", "bb"], seed=0)
        os.kill(sandbox._zygote.pid, signal.SIGKILL)
        after = sandbox.run(["a", "bb"], seed=0)
    assert after.votes.tolist() == before.votes.tolist()
    assert not after.faults.any()


@pytest.mark.parametrize(
    ("layers", "level", "missing"),
    [(("landlock", "user"), 1, "seccomp"), ((), 0, "landlock")],
)
def test_less_isolation_than_required_is_refused(layers: tuple[str, ...], level: int, missing: str) -> None:
    """The error says what is missing and how to go on; going on has to be asked for."""
    with pytest.raises(SandboxError, match=missing) as caught:
        Sandbox([ONE], num_classes=2, limits=Limits(layers=layers))
    assert re.search(rf"required_level={level}", str(caught.value))
    with Sandbox([ONE], num_classes=2, limits=Limits(layers=layers, required_level=0)) as sandbox:
        assert sandbox.level == level
        assert sandbox.run(["a"], seed=0).votes.tolist() == [[1]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limits(required_level=4),
        lambda: Limits(inflight=0),
        lambda: Limits(row_timeout_s=0),
        lambda: Sandbox([ONE], num_classes=1, limits=Limits()),
    ],
)
def test_impossible_limits_are_refused(make: Callable[[], object]) -> None:
    """Before any process starts."""
    with pytest.raises(ValueError, match="must be"):
        make()
