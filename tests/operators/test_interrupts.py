"""An interrupt ends what it interrupts, whatever a library makes of it."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from operators.interrupts import felt_interrupts


def interrupt_soon() -> None:
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()


def losing(times: int, *, then: str) -> int:
    """Be a library that loses some interrupts, and then lets one through, ends, or fails otherwise."""
    interrupt_soon()
    for lost in range(times + 1):
        try:
            time.sleep(20)
        except KeyboardInterrupt as error:
            if lost == times and then == "felt":
                raise
            if lost == times and then == "fails":
                raise RuntimeError("lost connection") from error
    return times


@pytest.mark.parametrize("then", ["felt", "ends", "fails"])
def test_a_swallowed_interrupt_is_sent_again(then: str) -> None:
    """A library that loses two is interrupted by the third, and however it ends then, that is an interrupt."""
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), felt_interrupts(again_s=0.05):
        losing(2, then=then)
    assert time.monotonic() - start < 5


def test_without_an_interrupt_nothing_changes() -> None:
    """Errors come out as they are, nothing is sent, and the handler is the old one."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="mine"), felt_interrupts():
        raise RuntimeError("mine")
    with felt_interrupts(again_s=0.01):
        time.sleep(0.05)
    assert signal.getsignal(signal.SIGINT) is before


def test_in_other_threads_it_steps_aside() -> None:
    """Only the main thread may set handlers."""
    seen: list[object] = []

    def work() -> None:
        with felt_interrupts():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
