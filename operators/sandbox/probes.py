"""What a locked worker tries in the self-test, and must not be able to do."""

from __future__ import annotations

import mmap
import os

PROBES = ("open", "socket", "fork", "execute")
"""Open a file, open a socket, start a process, make memory that can be written and executed."""


def attempt(probe: str) -> bool:
    """Try it; a kill by the kernel is the clearest of answers.

    Returns:
        whether it went through.
    """
    try:
        if probe == "open":
            os.close(os.open("/", os.O_RDONLY))
        elif probe == "socket":
            import _socket

            _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM).close()
        elif probe == "fork":
            if os.fork() == 0:
                os._exit(0)
        elif probe == "execute":
            mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
        else:
            raise ValueError(f"no probe {probe}")
    except OSError:
        return False
    return True
