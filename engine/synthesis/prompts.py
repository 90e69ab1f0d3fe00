"""Prompts that ask a language model for labeling programs.

The words live in templates beside this file, where they can be read and compared without the code around
them. Programs that err together teach a label model nothing, so every variant asks for another kind of
evidence: diversity comes from the words, since many models ignore or refuse a sampling temperature.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from engine.task import LabelingTask
from operators.sandbox.screen import ALLOWED_MODULES
from operators.schema import ABSTAIN

APPROACHES = (
    "score weighted words for each class, look a few words back for negation and emphasis, and vote only "
    "when the score is clear of zero.",
    "leave single words aside and look for phrases of two to five words that give the class away.",
    "read the form of the row rather than its vocabulary: length, punctuation, capitals, digits, links, "
    "layout and repetition, wherever form tells the classes apart.",
    "use the few cues you would bet on, each almost never seen in another class, and abstain on everything else.",
    "cover as many rows as you can: wide word lists with spelling variants and stems, so that most rows get a vote.",
    "weigh the parts of the row differently: its first and last sentences usually carry the point, and what "
    "follows a contrast such as 'but' outweighs what stands before it.",
    "list what tends to mislead a keyword search here (quotation, irony, comparison, a passing mention) and "
    "let such signs cancel or reverse the evidence around them.",
    "split the subject into aspects, decide each aspect from the words near it, and let the aspects vote.",
    "start from the class that is hardest to recognise, write a careful detector for it, then decide among the others.",
    "reason by elimination: collect what speaks against each class and return the only one left standing.",
)
"""Kinds of evidence, in the order of the variants; none names a subject, so they serve every task."""

LEANS = (
    "Strike your own balance between how many rows you vote on and how sure each vote is.",
    "Prefer being right: abstain whenever two classes are both plausible.",
    "Prefer reach: abstain only where there is no evidence whatever.",
    "Choose vocabulary that a casual, colloquial author would use.",
    "Choose vocabulary that a careful, formal author would use.",
)
"""A second axis; with the approaches it makes 50 prompts before the number alone tells variants apart."""

_environment = SandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is sent to a language model."""

    system: str
    user: str

    @property
    def digest(self) -> str:
        """Digest of both parts, as stated in the header of a program."""
        return hashlib.sha256(json.dumps([self.system, self.user]).encode()).hexdigest()

    @property
    def messages(self) -> tuple[dict[str, str], ...]:
        """The prompt as chat messages."""
        return ({"role": "system", "content": self.system}, {"role": "user", "content": self.user})


def general(task: LabelingTask, *, variant: int, focus: str = "") -> Prompt:
    """Write the general prompt: the task, its classes, the contract and the limits, and no row of data.

    Args:
        task: read for its words and its sandbox limits; gold values are never shown.
        variant: 0 or more; which approach to ask for. Two variants never give the same prompt.
        focus: what the programs so far lack, a paragraph; "" for none.

    Raises:
        ValueError: `variant` is negative.
    """
    if variant < 0:
        raise ValueError(f"variant must be 0 or more, got {variant}")
    lap, place = divmod(variant, len(APPROACHES))
    user = rendered(
        "general_user.jinja",
        knowledge=task.knowledge.strip(),
        instruction=task.instruction.strip(),
        classes=[{"name": c.name, "description": " ".join(c.description.split())} for c in task.classes],
        abstain=ABSTAIN,
        modules=ALLOWED_MODULES,
        row_timeout_s=f"{task.sandbox.row_timeout_s:g}",
        memory_mib=task.sandbox.memory_bytes >> 20,
        number=variant + 1,
        approach=APPROACHES[place],
        lean=LEANS[lap % len(LEANS)],
        focus=focus.strip(),
    )
    return Prompt(system=rendered("general_system.jinja", modality=task.modality), user=user)


def rendered(template: str, **values: object) -> str:
    """Fill a template of this package, without blanks around it; a value that it lacks is an error."""
    return _environment.get_template(template).render(values).strip()
