"""Whether an answer becomes a program: it is read, screened, compared with the programs that are there, and tried.

The cheapest look comes first, and the first that finds fault decides, so that a model is told one kind of trouble at a
time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.errors import ProgramRejected
from engine.synthesis.concepts import Concepts
from engine.synthesis.likeness import SAME_VOTES, Fingerprint, fingerprint, likeness, vote_likeness
from engine.synthesis.programs import Program, from_completion
from engine.synthesis.trial import Trial, says_nothing
from engine.task import LabelingTask
from operators.schema import Votes

_MOST_CUES = 20
_CUE = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A program that was taken in, with what later ones are compared with.

    Attributes:
        votes: (n,) on the sample; no rows where there is none.
    """

    program: Program
    likeness: Fingerprint
    votes: npt.NDArray[np.int8]

    @property
    def cues(self) -> tuple[str, ...]:
        """Words that it rests on, as far as they are told: those of its own source."""
        return tuple(sorted(word for word in self.likeness.evidence if _CUE.fullmatch(word)))[:_MOST_CUES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one answer.

    Attributes:
        member: the program, None where the answer is turned away.
        reasons: why it is, a sentence each.
        told: the same for a language model, without what may be quoted from a row.
        twin: the program that it copies, if that is why.
    """

    member: Member | None = None
    reasons: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    twin: Member | None = None


@dataclass(slots=True, kw_only=True)
class Judge:
    """Judges answers one after the other; the programs that it has taken in are what later ones must differ from.

    Attributes:
        task: with the terms.
        trial: runs a program on the sample; None for no sample.
        concepts: of images, of which a program gets those that its header names.
        members: taken in so far.
    """

    task: LabelingTask
    trial: Trial | None
    concepts: Concepts | None = None
    members: list[Member] = field(default_factory=list)

    @property
    def votes(self) -> Votes:
        """(n, m) of the programs so far, on the sample."""
        rows = 0 if self.trial is None else len(self.trial.texts)
        columns = [member.votes for member in self.members]
        return np.stack(columns, axis=1) if columns else np.zeros((rows, 0), np.int8)

    def __call__(self, name: str, answer: str, *, header: str) -> Verdict:
        """Judge one answer, and take its program in if nothing speaks against it."""
        try:
            program = from_completion(name, answer, header=header)
        except ProgramRejected as error:
            # The screen reads code and no rows: its reasons may be told as they are.
            return Verdict(reasons=error.reasons, told=error.reasons)
        mark = fingerprint(program.source)
        verdict = self._copied(program, mark)
        if verdict is not None:
            return verdict
        votes = np.zeros(0, np.int8)
        if self.trial is not None:
            tried = self.trial((program if self.concepts is None else self.concepts.bound(program)).source)
            votes = tried.votes
            if tried.problems:
                return Verdict(reasons=tried.problems, told=tried.told)
            empty = says_nothing(votes, self.task.class_names)
            if empty is not None:
                return Verdict(reasons=(empty,), told=(empty,))
            verdict = self._outvoted(votes)
            if verdict is not None:
                return verdict
        member = Member(program=program, likeness=mark, votes=votes)
        self.members.append(member)
        return Verdict(member=member)

    def _copied(self, program: Program, mark: Fingerprint) -> Verdict | None:
        for other in self.members:
            if other.program.digest == program.digest:
                return _twin(f"it is the same program as {other.program.name}", other)
        if not self.task.synthesis.diversity:
            return None
        for other in self.members:
            alike = likeness(mark, other.likeness)
            if alike > self.task.synthesis.max_likeness:
                return _twin(
                    f"it is nearly the same program as {other.program.name}: their code is alike by {alike:.2f}, and "
                    f"{self.task.synthesis.max_likeness:g} is allowed (`synthesis.max_likeness`)",
                    other,
                )
        return None

    def _outvoted(self, votes: npt.NDArray[np.int8]) -> Verdict | None:
        if not self.task.synthesis.diversity:
            return None
        for other in self.members:
            alike = vote_likeness(votes, other.votes)
            if alike >= SAME_VOTES:
                return _twin(
                    f"it votes as {other.program.name} does on at least {alike:.1%} of the rows of each class", other
                )
        return None


def _twin(reason: str, other: Member) -> Verdict:
    return Verdict(reasons=(reason,), told=(reason,), twin=other)
