"""What a program may use, and what is done about one that asks for more."""

from __future__ import annotations

from dataclasses import dataclass

_TICKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a sandbox; counts and decisions are by program and by call of `run`.

    Attributes:
        row_timeout_s: CPU seconds for a row; it is stopped at up to 4/3 of them.
        memory_bytes: address space of a worker, beyond the shared rows and votes.
        required_level: of isolation, 0..3: 3 is seccomp and Landlock, 2 seccomp, 1 Landlock, 0 a process with limits.
        group_size: programs that share a worker: faster for many cheap ones, but they can then reach each other.
        inflight: workers at a time.
        row_kill_s: CPU seconds after which a row that cannot be interrupted is killed.
        blocked_s: seconds without running nor waiting for a core after which a row is killed.
        batch_timeout_s: CPU seconds that a program may use for a batch, and seconds that it may be blocked, progress or
            not; one that takes longer is quarantined from the row on at which it was.
        load_timeout_s: CPU seconds for the top level of a program.
        max_kills: rows killed after which a program is quarantined.
        max_timeouts: rows out of time after which a program is quarantined.
        sample_rows: rows at the start over which errors are judged.
        max_error_fraction: of the sample, above which a program is quarantined.
        batch_rows: rows given to a worker at a time.
        batch_bytes: text given to a worker at a time, in bytes.
        recycle_bytes: private memory after a batch above which a worker is replaced.
        records: rows are JSON objects, and programs get them as dicts of their own.
        restricted: give programs the small namespace; off only to test the kernel's layers alone.
        layers: to be taken; fewer only to test what is left, and at a lower level.
    """

    row_timeout_s: float = 0.15
    memory_bytes: int = 512 << 20
    required_level: int = 2
    group_size: int = 1
    inflight: int = 2
    row_kill_s: float = 1.0
    blocked_s: float = 10.0
    batch_timeout_s: float = 120.0
    load_timeout_s: float = 5.0
    max_kills: int = 3
    max_timeouts: int = 10
    sample_rows: int = 200
    max_error_fraction: float = 0.5
    batch_rows: int = 8192
    batch_bytes: int = 16 << 20
    recycle_bytes: int = 128 << 20
    records: bool = False
    restricted: bool = True
    layers: tuple[str, ...] = ("user", "landlock", "seccomp")

    def __post_init__(self) -> None:
        if not 0 <= self.required_level <= 3:
            raise ValueError(f"required_level must be 0..3, got {self.required_level}")
        counts = (self.group_size, self.inflight, self.max_kills, self.max_timeouts, self.sample_rows, self.batch_rows)
        times = (self.row_timeout_s, self.row_kill_s, self.blocked_s, self.batch_timeout_s, self.load_timeout_s)
        if min(counts) < 1 or min(times) <= 0:
            raise ValueError(f"counts must be 1 or more and times positive, got {self}")

    @property
    def kill_after_s(self) -> float:
        """CPU seconds without progress after which a worker is killed: well after a row could have been stopped."""
        return max(self.row_kill_s, 3 * self.row_timeout_s)

    def options(self) -> dict[str, object]:
        """What the zygote needs to know, as JSON has it."""
        return {
            "tick_s": self.row_timeout_s / _TICKS,
            "need": _TICKS,
            "records": self.records,
            "restricted": self.restricted,
            "layers": list(self.layers),
        }
