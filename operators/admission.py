"""Trying programs out on a sample of the corpus, before they run over all of it.

Each goes over the sample twice, the second time in another order and with another seed: a program whose vote then
changes does not label the text. What is found here is what keeps a run over millions of rows from surprises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.sandbox.pool import Limits, Outcome, Sandbox
from operators.schema import ABSTAIN, Fault

_BATCH_ROWS = 500
"""Few enough for a slow program to be stopped soon, and enough for the cost of a batch not to be seen in a row's."""

_FAILED = (Fault.EXCEPTION, Fault.MEMORY, Fault.BAD_LABEL, Fault.CRASH, Fault.TIMEOUT)
_BY_THE_CLOCK = (Fault.TIMEOUT, Fault.MEMORY, Fault.QUARANTINED)
"""Faults that depend on the moment or on what a worker did before: they tell nothing about the order of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one program did on the sample.

    Attributes:
        num_rows: of the sample.
        row_s: mean CPU seconds a row.
        error_fraction: of the rows, those that ended in a fault, 0..1.
        abstain_fraction: of the rows, those without a vote for any reason, 0..1.
        num_changed: rows whose vote or fault was another one when the rows came in another order.
        message: of the first fault.
        stopped: why it was not run to the end, None if it was.
    """

    num_rows: int
    row_s: float
    error_fraction: float
    abstain_fraction: float
    num_changed: int
    message: str | None
    stopped: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A trial, and what else was seen in it.

    Attributes:
        votes: (n,) int8, of the first pass.
        load_error: why the program could not be run at all.
    """

    trial: Trial
    votes: npt.NDArray[np.int8]
    load_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a program must keep to be admitted.

    Attributes:
        max_row_s: mean CPU seconds a row.
        max_error_fraction: of the rows, 0..1.
        max_abstain_fraction: of the rows, 0..1.
    """

    max_row_s: float
    max_error_fraction: float
    max_abstain_fraction: float

    def problems(self, trial: Trial) -> tuple[str, ...]:
        """Say why a program is not admitted; empty if it is.

        Written for who has to repair the program, a person or a language model.
        """
        found = []
        rows = f"{trial.num_rows} rows of the corpus"
        if trial.stopped is not None:
            first = "" if trial.message in (None, trial.stopped) else f". The first fault: {trial.message}"
            found.append(f"it was stopped on {rows}: {trial.stopped}{first}")
        if trial.row_s > self.max_row_s:
            found.append(
                f"it takes {trial.row_s * 1e3:.1f} ms of CPU time a row on average over {rows}; at most "
                f"{self.max_row_s * 1e3:g} ms are allowed (`admission.max_row_s`)"
            )
        if trial.stopped is None and trial.error_fraction > self.max_error_fraction:
            found.append(
                f"it fails on {trial.error_fraction:.1%} of {rows}; at most {self.max_error_fraction:.1%} are allowed "
                f"(`admission.max_error_fraction`). The first time: {trial.message}"
            )
        if trial.num_changed:
            found.append(
                f"its answer changes on {trial.num_changed} of {rows} when they come in another order: it depends on "
                "chance, or on rows that it saw before. An answer must follow from the text alone"
            )
        if trial.stopped is None and trial.abstain_fraction > self.max_abstain_fraction:
            found.append(
                f"it abstains on {trial.abstain_fraction:.1%} of {rows}; at most {self.max_abstain_fraction:.1%} are "
                "allowed (`admission.max_abstain_fraction`)"
            )
        return tuple(found)


def try_out(
    sources: Sequence[str], texts: pa.Array, *, num_classes: int, limits: Limits, max_row_s: float
) -> list[Trial]:
    """Run programs over a sample twice, in two orders, and say how each did; arguments and errors as `observe`."""
    seen = observe(sources, texts, num_classes=num_classes, limits=limits, max_row_s=max_row_s)
    return [observed.trial for observed in seen]


def observe(
    sources: Sequence[str], texts: pa.Array, *, num_classes: int, limits: Limits, max_row_s: float
) -> list[Observed]:
    """Run programs over a sample twice, in two orders, and keep their votes too.

    Args:
        sources: of the programs.
        texts: (n,) strings, no nulls.
        num_classes: k.
        limits: of the sandbox; each program gets a worker of its own here, whatever they say.
        max_row_s: mean CPU seconds a row; a program that takes far more is not waited for.

    Raises:
        SandboxError: the sandbox itself failed.
    """
    order = np.random.default_rng(0).permutation(len(texts))
    impatient = replace(limits, group_size=1, batch_rows=_BATCH_ROWS, batch_timeout_s=2 * max_row_s * _BATCH_ROWS)
    with Sandbox(sources, num_classes=num_classes, limits=impatient) as sandbox:
        first = sandbox.run(texts, seed=0)
        again = sandbox.run(texts.take(pa.array(order)), seed=1)
    return [
        Observed(trial=_judged(first, again, order, j), votes=first.votes[:, j], load_error=first.load_errors[j])
        for j in range(len(sources))
    ]


def _judged(first: Outcome, again: Outcome, order: npt.NDArray[np.int64], j: int) -> Trial:
    votes, faults = first.votes[:, j], first.faults[:, j]
    votes_again, faults_again = np.empty_like(votes), np.empty_like(faults)
    votes_again[order], faults_again[order] = again.votes[:, j], again.faults[:, j]
    comparable = ~np.isin(faults, _BY_THE_CLOCK) & ~np.isin(faults_again, _BY_THE_CLOCK)
    changed = comparable & ((votes != votes_again) | (faults != faults_again))
    stopped = first.quarantined[j] or again.quarantined[j]
    ran = 2 * len(votes) - int((faults == Fault.QUARANTINED).sum() + (faults_again == Fault.QUARANTINED).sum())
    return Trial(
        num_rows=len(votes),
        row_s=(first.cpu_s[j] + again.cpu_s[j]) / max(1, ran),
        error_fraction=float(np.isin(faults, _FAILED).mean()) if len(votes) else 0.0,
        abstain_fraction=float((votes == ABSTAIN).mean()) if len(votes) else 0.0,
        num_changed=int(changed.sum()),
        message=first.messages[j] or again.messages[j],
        stopped=stopped,
    )
