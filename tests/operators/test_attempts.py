"""An item that is begun again and again is told from one that was done."""

from __future__ import annotations

from operators.attempts import Attempts


def test_beginnings_without_an_end_add_up():
    """Only an end brings the count of an item back; executions and items do not mix."""
    counting = Attempts()
    assert [counting.begin("x", 0, worker) for worker in ("a", "b", "c")] == [1, 2, 3]
    assert counting.begin("x", 1, "a") == 1
    assert counting.begin("y", 0, "a") == 1
    counting.end("x", 0)
    assert counting.begin("x", 0, "a") == 1


def test_what_is_under_way_is_seen():
    """The workers that began anything, and the items that were begun and not ended."""
    counting = Attempts()
    counting.begin("x", 0, "a")
    counting.begin("x", 0, "b")
    counting.begin("x", 7, "b")
    counting.end("x", 7)
    seen = counting.seen("x")
    assert seen.workers == 2
    assert list(seen.under_way) == [0]
    assert seen.under_way[0][0] == 2
    counting.forget("x")
    assert (counting.seen("x").workers, counting.seen("x").under_way) == (0, {})
