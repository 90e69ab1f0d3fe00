"""Programs tried on a sample of the training rows: for synthesis while it asks, and for admission after it.

What was measured is kept on disk by program and sample the moment it is known. So a verdict never flips because the
machine was busy at a second look; a synthesis that was killed goes on along the same way; and a program that was tried
when it was written is not tried again, so that none is taken in there and turned away here (where both look at the
same number of rows).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.rows import seen_by_programs, seen_key
from engine.store import digest_of
from engine.synthesis.repair import without_rows
from engine.synthesis.trial import Tried
from engine.task import LabelingTask
from operators.admission import Observed, Terms, Trial, observe
from operators.commit import commit
from operators.sample import sample_texts
from operators.sandbox.pool import Limits


def limits_of(task: LabelingTask) -> Limits:
    """Limits of the sandbox; one program a worker until admission settles it."""
    terms = task.sandbox.model_dump(exclude={"group_size", "programs_may_harm_this_machine"})
    return Limits(**terms, records=task.modality in ("record", "image"))


def terms_of(task: LabelingTask) -> Terms:
    """What a program must keep to be admitted."""
    return Terms(**task.admission.model_dump(exclude={"rows"}))


def program_key(task: LabelingTask, digest: str) -> str:
    """Key of a program: it covers its source and all else that changes its votes."""
    limits = limits_of(task)
    context = [task.num_classes, seen_key(task), limits.row_timeout_s, limits.memory_bytes]
    return digest_of("program", 1, digest, context)


def sample_digest(corpus: Corpus, *, rows: int) -> str:
    """Digest of a sample of so many rows."""
    return digest_of("sample", 1, corpus.rows, corpus.keys, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Programs and a sample of `rows` training rows, tried at most once each.

    Attributes:
        sample: digest of the sample.
    """

    ctx: Context
    corpus: Corpus
    rows: int

    @property
    def sample(self) -> str:
        """See the class."""
        return sample_digest(self.corpus, rows=self.rows)

    def texts(self) -> pa.Array:
        """Read the sample; large_string."""
        return sample_texts(
            self.corpus.shards,
            folder=self.ctx.run.shards,
            digest=self.corpus.rows,
            text=seen_by_programs(self.ctx.task),
            id_column=self.ctx.task.columns.id,
            num_rows=self.rows,
        )

    def known(self, keys: Sequence[str]) -> dict[str, Observed]:
        """Return what earlier tries of these programs found, by key."""
        paths = {key: self._path(key) for key in keys}
        return {key: _read(path) for key, path in paths.items() if path.exists()}

    def run(self, sources: dict[str, str], texts: pa.Array) -> dict[str, Observed]:
        """Try programs given by key, and keep what was found.

        Raises:
            SandboxError: the sandbox itself failed.
        """
        task = self.ctx.task
        seen = observe(
            list(sources.values()),
            texts,
            num_classes=task.num_classes,
            limits=limits_of(task),
            max_row_s=task.admission.max_row_s,
        )
        found = dict(zip(sources, seen, strict=True))
        for key, observed in found.items():
            _write(self._path(key), observed)
        return found

    def _path(self, key: str) -> Path:
        # A program that takes long is not waited for, so what is found depends on how long that is.
        name = digest_of("trial", 1, self.sample, key, self.ctx.task.admission.max_row_s)
        return self.ctx.run.path / "trials" / f"{name}.json"


class SampleTrial:
    """The trial of a synthesis: one program at a time, on rows that are read once.

    Attributes:
        texts: (n,) the rows.
    """

    def __init__(self, ctx: Context, corpus: Corpus, *, rows: int) -> None:
        self._task = ctx.task
        self._tries = Tries(ctx=ctx, corpus=corpus, rows=rows)
        self._array = self._tries.texts()
        self.texts: Sequence[str] = self._array.to_pylist()

    def __call__(self, program: str) -> Tried:
        """Try a program by its source, or remember what it did."""
        key = program_key(self._task, hashlib.sha256(program.encode()).hexdigest())
        observed = self._tries.known([key]).get(key) or self._tries.run({key: program}, self._array)[key]
        if observed.load_error is not None:
            # It failed before it saw a row.
            problem = f"it does not load in the sandbox: {observed.load_error}"
            return Tried(votes=observed.votes, problems=(problem,), told=(problem,))
        terms, trial = terms_of(self._task), observed.trial
        told = trial
        if not self._task.synthesis.show_rows:
            message = trial.message and without_rows(trial.message, source=program)
            stopped = trial.stopped and without_rows(trial.stopped, source=program)
            told = replace(trial, message=message, stopped=stopped)
        return Tried(votes=observed.votes, problems=terms.problems(trial), told=terms.problems(told))


def _write(path: Path, observed: Observed) -> None:
    values = {
        "trial": asdict(observed.trial),
        "votes": observed.votes.tolist(),
        "load_error": observed.load_error,
    }
    path.parent.mkdir(exist_ok=True)
    commit(path, lambda attempt: attempt.write_text(json.dumps(values), encoding="utf-8"), replace=True)


def _read(path: Path) -> Observed:
    values = json.loads(path.read_text(encoding="utf-8"))
    return Observed(
        trial=Trial(**values["trial"]),
        votes=np.array(values["votes"], dtype=np.int8),
        load_error=values["load_error"],
    )
