"""Ctrl-C that is felt: an interrupt which a library swallows is sent again until it arrives.

Ray looks for signals in the middle of its own calls and under load loses the answer now and then; a run that waits
for actors at work would wait for ever.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def felt_interrupts(*, again_s: float = 1.0) -> Iterator[None]:
    """Go around a call of another library: an interrupt during it ends the block by KeyboardInterrupt.

    Outside the main thread, and where SIGINT is ignored, nothing is done.

    Args:
        again_s: seconds after which an interrupt that has not ended the block is sent again.

    Raises:
        KeyboardInterrupt: there was an interrupt, even if the call came to its end or to another error.
    """
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    over, main = threading.Event(), threading.get_ident()
    sent = False

    def repeat() -> None:
        while not over.wait(again_s):
            # To the main thread itself, so that what it waits for is broken off.
            signal.pthread_kill(main, signal.SIGINT)

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal sent
        if not sent:
            sent = True
            threading.Thread(target=repeat, daemon=True).start()
        previous(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    except Exception as error:
        if sent:
            raise KeyboardInterrupt from error
        raise
    finally:
        over.set()
        signal.signal(signal.SIGINT, previous)
    if sent:
        raise KeyboardInterrupt
