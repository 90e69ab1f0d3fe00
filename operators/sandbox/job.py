"""One group of programs on its way through the rows, over as many workers as that takes.

A program that has to be stopped costs the row at which it was: a fresh worker goes on at the next one. A worker that
somebody else killed (a person, the kernel short of memory) costs no row: its group begins anew, which gives what a run
without the kill gives, state that programs keep included. Killed at the same place again, it is the program's doing.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from operators.sandbox import wire
from operators.sandbox.limits import Limits
from operators.sandbox.memory import Results, Texts
from operators.sandbox.process import ProtocolBroken, Worker, WorkerGone, signal_name
from operators.sandbox.record import Place, Record, Step, planned
from operators.sandbox.watchdog import Watch, private_bytes
from operators.schema import ABSTAIN, Fault

_MAX_KILLS = 4  # from outside and forgiven; a program that has itself killed at ever new rows must come to an end


class Job:
    """A group of programs, the commands still to give, and the worker that carries them out.

    Args:
        sources: of the programs.
        texts: of the rows.
        num_classes: k.
        limits: as given to the sandbox.
        make_worker: forks a worker that writes to the given results.
        killed_at: where workers of this group were killed from outside in this call; the job adds its own.

    Attributes:
        disturbed: whether the worker was killed from outside; the job has then ended, to be made again.
    """

    def __init__(
        self,
        sources: tuple[str, ...],
        *,
        texts: Texts,
        num_classes: int,
        limits: Limits,
        make_worker: Callable[[Results], Worker],
        killed_at: frozenset[Place] = frozenset(),
    ) -> None:
        self.sources, self.killed_at, self.disturbed = sources, killed_at, False
        self.records = [Record() for _ in sources]
        self._payloads = [source.encode("utf-8", "surrogatepass") for source in sources]
        self._num_classes = num_classes
        self._limits = limits
        self._make_worker = make_worker
        self._results = Results(len(sources), texts.rows)
        self._stopped_at = np.zeros((len(sources), texts.rows), np.uint8)
        batches = texts.batches(first=limits.sample_rows, max_rows=limits.batch_rows, max_bytes=limits.batch_bytes)
        self._steps = planned(len(sources), batches)
        self._worker: Worker | None = None
        for program, payload in enumerate(self._payloads):
            if len(payload) > wire.MAX_SOURCE:
                self._refuse(program, f"its source has {len(payload)} bytes, and {wire.MAX_SOURCE} is the most")
        try:
            self._start_over()
        except BaseException:
            self.close()
            raise

    @property
    def replies(self) -> int | None:
        """Descriptor to wait on; None when the job is done."""
        return None if self._worker is None else self._worker.replies

    @property
    def unsent(self) -> int | None:
        """Descriptor that `send` waits for; None when the worker has been told everything."""
        return None if self._worker is None else self._worker.unsent

    def send(self) -> None:
        """Tell the worker more of its command."""
        if self._worker is not None:
            self._worker.send()

    def answered(self) -> None:
        """Read the worker's answer, which is there or will never come, and go on."""
        assert self._worker is not None  # the caller waits on its descriptor
        try:
            number, text = self._worker.reply()
        except WorkerGone:
            self._replace_guilty(Fault.CRASH, "the process ended")
        except ProtocolBroken:
            self._replace_guilty(Fault.VIOLATION, "it broke the protocol")
        else:
            self._accept(number, text)

    def look(self) -> None:
        """Kill the worker if it is overdue, and go on without it."""
        why = self._charge(self._steps[0]) or self._watch.overdue(self._reached())
        # An answer that nobody has read yet is the parent's delay, not the worker's.
        if why is not None and self._worker and not self._worker.has_answered():
            self._replace_guilty(Fault.TIMEOUT, why)

    def close(self) -> None:
        """End the worker, if there is one."""
        self._end_worker()
        self._results.close()

    def _end_worker(self) -> int | None:
        worker, self._worker = self._worker, None
        return None if worker is None else worker.end()

    def outcome(self, program: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint8]]:
        """Return votes and faults of a program, as they are now: (rows,) int8, (rows,) uint8."""
        return self._checked(program, slice(None))

    def _checked(self, program: int, rows: slice) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint8]]:
        votes, faults = self._results.read(program, rows, num_classes=self._num_classes)
        stopped = self._stopped_at[program, rows]
        votes[stopped != 0] = ABSTAIN
        return votes, np.where(stopped != 0, stopped, faults)

    def _next(self) -> None:
        """Give the next command, or end the worker when there is none."""
        worker, limits = self._worker, self._limits
        assert worker is not None  # it was there to answer, or was just made
        if not self._steps:
            self.close()
            return
        if (step := self._steps[0]).kind == wire.LOAD:
            cpu_s = limits.load_timeout_s
            payload = self._payloads[step.program]
            worker.command(wire.LOAD, step.program, start=len(payload), payload=payload)
        else:
            cpu_s = limits.kill_after_s
            if step.start == step.first:
                self.records[step.program].begin_batch()
            left = max(0, limits.max_timeouts - self.records[step.program].timeouts)  # a program may forge its own
            worker.command(wire.RUN, step.program, start=step.start, stop=step.stop, timeouts_left=left)
        self._watch = Watch(worker.pid, cpu_s=cpu_s, blocked_s=limits.blocked_s)

    def _accept(self, number: int, text: str) -> None:
        step = self._steps.popleft()
        record = self.records[step.program]
        too_long = self._charge(step)
        if step.kind == wire.LOAD:
            record.loaded = record.loaded or number == 1
            if number != 1:
                self._refuse(step.program, text)
        elif not step.start < number <= step.stop:
            self._steps.appendleft(step)
            self._replace_guilty(Fault.VIOLATION, "it broke the protocol")
            return
        else:
            record.message = (
                record.message or text or self._results.wrong_label(step.program, step.start, number, self._num_classes)
            )
            record.timeouts += self._results.timeouts(step.program, step.start, number)
            if number < step.stop:
                self._steps.appendleft(replace(step, start=number))
            self._judge(step.program, number, too_long)
            assert self._worker is not None  # it has just answered
            if self._steps and private_bytes(self._worker.pid) > self._limits.recycle_bytes:
                self._end_worker()
                self._start_over()
                return
        self._next()

    def _charge(self, step: Step) -> str | None:
        """Put down what the worker has used since the last time; says what was too much for a batch, if it was."""
        record = self.records[step.program]
        cpu_s, blocked_s = self._watch.spent()
        record.add(cpu_s, blocked_s)
        if step.kind == wire.LOAD:
            return None
        record.cpu_s += cpu_s
        return record.too_long(self._limits.batch_timeout_s, rows=step.rows)

    def _judge(self, program: int, reached: int, too_long: str | None) -> None:
        """Quarantine a program that has run up to a row, if it is too slow or wrong too often."""
        sample = self._checked(program, slice(0, self._limits.sample_rows))[1]
        if why := self.records[program].verdict(self._limits, reached, too_long, sample):
            self._quarantine(program, reached, why)

    def _reached(self) -> int:
        """Row that the worker is at, as far as its results show."""
        step = self._steps[0]
        return 0 if step.kind == wire.LOAD else self._results.reached(step.program, step.start, step.stop)

    def _replace_guilty(self, fault: Fault, why: str) -> None:
        """End the worker, charge the row that it was at, and go on after that row."""
        step, record = self._steps[0], self.records[self._steps[0].program]
        too_long = self._charge(step)
        code = self._end_worker()
        row = min(self._reached(), max(step.start, step.stop - 1))
        place = (step.program, step.kind, row)
        from_outside = fault is Fault.CRASH and code == -signal.SIGKILL and len(self.killed_at) < _MAX_KILLS
        if (code is None or from_outside) and place not in self.killed_at:
            self.killed_at, self.disturbed = self.killed_at | {place}, True
            self._results.close()
            return
        if code == -signal.SIGSYS:
            fault, why = Fault.VIOLATION, "it made a forbidden system call"
        elif fault is Fault.CRASH and code is not None and code < 0 and code != -signal.SIGKILL:
            why = f"its process was killed by {signal_name(-code)}"
        self._steps.popleft()
        if step.kind == wire.LOAD:
            self._refuse(step.program, f"while it was loaded, {why}")
        else:
            record.timeouts += self._results.timeouts(step.program, step.start, row + 1)
            record.kills += 1
            record.message = record.message or why
            self._stopped_at[step.program, row] = fault
            if row + 1 < step.stop:
                self._steps.appendleft(replace(step, start=row + 1))
            if fault is Fault.VIOLATION:
                self._quarantine(step.program, row + 1, why)
            elif too_long:
                self._quarantine(step.program, row + 1, too_long)
            elif record.kills >= self._limits.max_kills:
                self._quarantine(step.program, row + 1, f"{record.kills} of its rows had to be killed; the last: {why}")
        self._start_over()

    def _start_over(self) -> None:
        """Fork a worker, if anything is left to run, and have it load what it will need."""
        waiting = {step.program for step in self._steps if step.kind == wire.LOAD}
        needed = sorted({step.program for step in self._steps if step.kind == wire.RUN} - waiting)
        self._steps.extendleft(Step(wire.LOAD, program) for program in reversed(needed))
        if not self._steps:
            self._results.close()
            return
        self._worker = self._make_worker(self._results)
        self._next()

    def _refuse(self, program: int, why: str) -> None:
        record = self.records[program]
        if not record.loaded:
            record.load_error = why
        pending = (self._results.votes[program] == wire.PENDING) & (self._stopped_at[program] == 0)
        row = int(pending.argmax()) if pending.any() else len(pending)
        self._quarantine(program, row, f"it does not load: {why}")

    def _quarantine(self, program: int, row: int, why: str) -> None:
        self.records[program].quarantined = why
        self._stopped_at[program, row:] = Fault.QUARANTINED
        self._steps = deque(step for step in self._steps if step.program != program)
