"""The sandbox from outside: rows in, votes out, and nothing passes between programs, calls and batches."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from operators.errors import SandboxError
from operators.sandbox.pool import Limits, Outcome, Sandbox
from operators.schema import Fault

Run = Callable[..., Outcome]

ONE = "def label_function(text):\n    return 1\n"
LENGTH = "def label_function(text):\n    return len(text) % 3 - 1\n"


def program(body: str, *, top: str = "") -> str:
    """Write a program that does something on rows with an x, and votes 1 on others."""
    return f"{top}\ndef label_function(text):\n    if 'x' not in text:\n        return 1\n    {body}\n"


def test_votes_stand_by_row_and_program(run: Run) -> None:
    """The matrix has a row a text and a column a program."""
    outcome = run([ONE, LENGTH], ["a", "bb", "ccc"])
    assert outcome.votes.tolist() == [[1, 0], [1, 1], [1, -1]]
    assert outcome.votes.dtype == np.int8
    assert outcome.faults.dtype == np.uint8
    assert not outcome.faults.any()
    assert outcome.messages == outcome.quarantined == outcome.load_errors == (None, None)


def test_null_rows_are_never_shown(run: Run) -> None:
    """A null is no text: nobody votes on it and nobody faults."""
    outcome = run(["def label_function(text):\n    return text.count('')\n", ONE], [None, "", None])
    assert outcome.votes.tolist() == [[-1, -1], [1, 1], [-1, -1]]
    assert not outcome.faults.any()


@pytest.mark.parametrize("texts", [[], [None, None]])
def test_no_texts_are_an_answer(run: Run, texts: list[str | None]) -> None:
    """As many rows out as in, also when no program has anything to do."""
    outcome = run([ONE, LENGTH], texts)
    assert outcome.votes.shape == outcome.faults.shape == (len(texts), 2)
    assert (outcome.votes == -1).all()
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


def test_texts_reach_a_program_unchanged(run: Run) -> None:
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


def test_batches_share_a_worker_and_change_nothing(run: Run) -> None:
    """However the rows are cut, by number or by bytes, state goes on from batch to batch."""
    counter = "n = 0\ndef label_function(text):\n    global n\n    n += len(text)\n    return n % 2\n"
    texts = ["a" * (row % 7) for row in range(100)]
    whole = run([counter, LENGTH], texts).votes
    assert (run([counter, LENGTH], texts, limits=Limits(batch_rows=7, sample_rows=3)).votes == whole).all()
    assert (run([counter, LENGTH], texts, limits=Limits(batch_bytes=5)).votes == whole).all()
    assert (run([counter, LENGTH], texts, limits=Limits(group_size=2, inflight=1)).votes == whole).all()


def test_programs_in_a_group_fail_alone(run: Run) -> None:
    """They share a worker, and still each loss is charged to who caused it."""
    sources = [ONE, "import nothing\n", program("os.abort()", top="import os"), LENGTH]
    outcome = run(sources, ["a", "x", "bb"], limits=Limits(restricted=False, group_size=4, batch_rows=1, sample_rows=1))
    assert outcome.faults.tolist() == [[0, 7, 0, 0], [0, 7, 5, 0], [0, 7, 0, 0]]
    assert outcome.votes.tolist() == [[1, -1, 1, 0], [1, -1, -1, 0], [1, -1, 1, 1]]


def test_a_handler_that_a_program_leaves_behind_is_replaced(run: Run) -> None:
    """One that switches its own time limit off does not switch off the next one's."""
    careless = (
        "import signal\ndef label_function(text):\n    signal.signal(signal.SIGPROF, signal.SIG_IGN)\n    return 1\n"
    )
    limits = Limits(row_timeout_s=0.06, restricted=False, group_size=2)
    outcome = run([careless, program("while True: pass")], ["a", "x", "a"], limits=limits)
    assert outcome.faults.tolist() == [[0, 0], [0, Fault.TIMEOUT], [0, 0]]
    assert "RowTimeout" in str(outcome.messages[1])


@pytest.mark.parametrize("when", ["at load", "in a row"])
def test_results_forged_in_shared_memory_harm_their_own_program_alone(run: Run, when: str) -> None:
    """A program that reached the harness may write what it likes, at any time; the parent takes none of it amiss."""
    forge = """
import sys
def forge():
    frame = sys._getframe()
    while "results" not in frame.f_locals:
        frame = frame.f_back
    results = frame.f_locals["results"]
    for place in range(len(results)):
        results[place] = 2
"""
    calls = {
        "at load": "\nforge()\ndef label_function(text):\n    return 1\n",
        "in a row": "\ndef label_function(text):\n    forge()\n    return sum(range(10**14))\n",
    }
    limits = Limits(row_timeout_s=0.06, row_kill_s=0.2, restricted=False, sample_rows=20)
    outcome = run([ONE, forge + calls[when], ONE], ["a"] * 40, limits=limits)
    assert outcome.votes[:, [0, 2]].tolist() == [[1, 1]] * 40
    assert not outcome.faults[:, [0, 2]].any()
    assert outcome.faults[:, 1].all()
    assert (outcome.votes[:, 1] == -1).all()


def test_a_leaking_program_gets_a_fresh_worker(run: Run) -> None:
    """Memory that a program keeps is given back between batches, before it becomes a fault."""
    source = "KEPT = []\ndef label_function(text):\n    KEPT.append(bytearray(6 << 20))\n    return len(KEPT) % 2\n"
    limits = Limits(memory_bytes=64 << 20, recycle_bytes=32 << 20, batch_rows=8, sample_rows=8)
    outcome = run([source], ["a"] * 24, limits=limits)
    assert not outcome.faults.any()
    assert outcome.votes[:, 0].tolist() == [1, 0] * 12


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
        lambda: Limits(batch_timeout_s=0),
        lambda: Sandbox([ONE], num_classes=1, limits=Limits()),
    ],
)
def test_impossible_limits_are_refused(make: Callable[[], object]) -> None:
    """Before any process starts."""
    with pytest.raises(ValueError, match="must be"):
        make()


@pytest.mark.slow
def test_rows_of_ten_megabytes_are_seen_whole(run: Run) -> None:
    """Several in a call are several batches; each program sees every character, and small rows among them."""
    ends = "def label_function(text):\n    return 1 if len(text) == 10_000_000 and text[-1] == 'é' else 0\n"
    large = "z" * 9_999_999 + "é"
    outcome = run([ends, ends + "# twice\n"], [large, "é", None, "z" * 10_000_000, *[large] * 3])
    assert outcome.votes[:, 0].tolist() == [1, 0, -1, 0, 1, 1, 1]
    assert (outcome.votes[:, 1] == outcome.votes[:, 0]).all()
    assert not outcome.faults.any()
