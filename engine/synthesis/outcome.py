"""What synthesis came to, as values: a place for each program wanted, and every answer that did not fill it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.synthesis.feedback import View
from engine.synthesis.programs import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An answer that gave no program.

    Attributes:
        reasons: why, one sentence each.
        answer: what the model wrote, word for word.
        header: the provenance it would have had; it states the model, the prompt and the price.
        copy: whether it was turned away for repeating another program.
    """

    reasons: tuple[str, ...]
    answer: str
    header: str
    copy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The place of one program, and what was asked to fill it.

    Attributes:
        name: of the program.
        program: None where no answer gave one.
        failures: the answers before it, in the order asked.
    """

    name: str
    program: Program | None
    failures: tuple[Failure, ...] = ()

    @property
    def num_answers(self) -> int:
        """How many answers were asked for."""
        return len(self.failures) + (self.program is not None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why there is no program: what was wrong with the last answer."""
        return () if self.program is not None or not self.failures else self.failures[-1].reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """What came of asking.

    Attributes:
        slots: in the order asked.
        stop: why no more was asked: the count was reached, or coverage and agreement no longer grew.
        view: of the programs on the sample, None without one.
    """

    slots: tuple[Slot, ...]
    stop: Literal["count", "no_growth"]
    view: View | None

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs, in the order asked."""
        return tuple(slot.program for slot in self.slots if slot.program is not None)

    @property
    def rejected(self) -> tuple[Slot, ...]:
        """The places that no answer filled."""
        return tuple(slot for slot in self.slots if slot.program is None)

    def counts(self) -> dict[str, int]:
        """Count what was asked and what came of it; the words of the report."""
        filled = [slot for slot in self.slots if slot.program is not None]
        failures = [failure for slot in self.slots for failure in slot.failures]
        return {
            "asked": sum(slot.num_answers for slot in self.slots),
            "usable_at_first": sum(not slot.failures for slot in filled),
            "repaired": sum(bool(slot.failures) and not slot.failures[-1].copy for slot in filled),
            "near_duplicates": sum(failure.copy for failure in failures),
        }


def set_aside(slots: Sequence[Slot], folder: Path) -> None:
    """Write down every answer that gave no program, those too that a later answer to the same question made good."""
    shutil.rmtree(folder, ignore_errors=True)
    for slot in slots:
        parts = []
        for number, failure in enumerate(slot.failures, start=1):
            reasons = "\n".join(f"# rejected: {reason}" for reason in failure.reasons)
            parts.append(f"# answer {number} of {slot.num_answers}\n{reasons}\n{failure.header}\n{failure.answer}\n")
        if parts:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{slot.name}.txt"
            path.write_text("\n".join(parts), encoding="utf-8", errors="backslashreplace")
