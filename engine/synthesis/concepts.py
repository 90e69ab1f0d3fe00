"""Visual concepts: what tells the classes apart, a description a class, in one file that people edit.

A program over scores belongs to the concepts that its header names (`# concepts: NAME, NAME`): its argument is the
scores of their descriptions, in the order of the file. A concept marked spurious (a background, say) stays in the file
for people and is scored for nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from engine.errors import ConfigError, ProgramRejected
from engine.synthesis.programs import Program
from engine.task import LabelingTask
from engine.task_parts import TaskModel
from operators.featurizer import IMAGE, Traits

FILE = "concepts.yaml"

_HEADER = re.compile(r"#\s*concepts:\s*(.*)")

_BINDING = """

def label_function(scores, *, _program=label_function, _places={places}):
    return _program([scores[place] for place in _places])
"""
"""Put behind a program: rows hold the scores of all concepts, and a program sees its own."""


class Concept(TaskModel):
    """One concept.

    Attributes:
        descriptions: {class: what an image of it shows}; each class once.
        spurious: it follows the surroundings rather than the thing, and no program gets it.
    """

    name: Annotated[str, Field(min_length=1, pattern=r"^[^,\n]+$")]
    descriptions: dict[str, Annotated[str, Field(min_length=1)]]
    spurious: bool = False


class _File(TaskModel):
    concepts: Annotated[tuple[Concept, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concepts:
    """The concepts of a task that programs may use.

    Attributes:
        used: in the order of the scores.
        excluded: names of the spurious ones.
        class_names: in the order of the descriptions of a concept.
        traits: of the featurizer that scores them.
    """

    used: tuple[Concept, ...]
    excluded: tuple[str, ...]
    class_names: tuple[str, ...]
    traits: Traits

    def texts(self) -> tuple[tuple[str, ...], ...]:
        """Descriptions of each concept, in the order of the classes."""
        return tuple(tuple(c.descriptions[name] for name in self.class_names) for c in self.used)

    def bound(self, program: Program) -> Program:
        """Give a program the scores of its own concepts, in place of all.

        Raises:
            ProgramRejected: its header names no concept, an unknown or a spurious one.
        """
        names = concepts_of(program)
        known = [concept.name for concept in self.used]
        reasons = []
        if not names:
            reasons.append("its header names no concept; add a line such as `# concepts: " + known[0] + "` at its top")
        for name in names:
            if name in self.excluded:
                reasons.append(f"concept {name!r} is marked spurious in {FILE}, and no program gets it")
            elif name not in known:
                reasons.append(f"concept {name!r} is not in {FILE}, which has {', '.join(known)}")
        if reasons:
            raise ProgramRejected(program.name, tuple(reasons))
        wide = len(self.class_names)
        places = tuple(known.index(name) * wide + place for name in names for place in range(wide))
        return replace(program, source=program.source + _BINDING.format(places=places))

    def bound_all(self, programs: Sequence[Program]) -> tuple[list[Program], dict[str, list[str]]]:
        """Bind programs; those that cannot be are told with the reasons.

        Raises:
            ProgramRejected: not one can be bound.
        """
        bound, rejected = [], {}
        for program in programs:
            try:
                bound.append(self.bound(program))
            except ProgramRejected as error:
                rejected[program.name] = list(error.reasons)
        if rejected and not bound:
            raise ProgramRejected(", ".join(rejected), tuple(r for reasons in rejected.values() for r in reasons))
        return bound, rejected


def concepts_of(program: Program) -> tuple[str, ...]:
    """Return the concepts that a program's header names, none where it names none."""
    for line in program.header.splitlines():
        match = _HEADER.fullmatch(line.strip())
        if match:
            return tuple(name.strip() for name in match[1].split(",") if name.strip())
    return ()


def header_line(names: Sequence[str]) -> str:
    """Write the line that `concepts_of` reads."""
    return f"# concepts: {', '.join(names)}\n"


def concepts_file(task: LabelingTask, *, run: Path | None) -> Path | None:
    """Return the file of concepts that the task, its programs or its run directory have; None where there is none.

    One that the task names is returned whether it is there or not.
    """
    if task.scoring.concepts is not None:
        return Path(task.scoring.concepts)
    beside = task.programs.folder
    places = [Path(folder) / FILE for folder in (beside, run) if folder is not None]
    return next((path for path in places if path.exists()), None)


def read_concepts(path: Path, *, class_names: Sequence[str], traits: Traits = IMAGE) -> Concepts:
    """Read a file of concepts, for a featurizer of such traits.

    Raises:
        ConfigError: there is none, or what is in it is none; the message says what was expected.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file of concepts") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    problem, found = checked(content, class_names, traits)
    if found is None:
        raise ConfigError(f"{path}: {problem}")
    return found


def checked(content: Any, class_names: Sequence[str], traits: Traits) -> tuple[str, Concepts | None]:
    """Read concepts from the content of a file; or say what is wrong with it, and give None."""
    if not isinstance(content, Mapping):
        return "expected `concepts:` with a list of concepts", None
    try:
        concepts = _File.model_validate(content).concepts
    except ValidationError as error:
        first = error.errors()[0]
        return f"`{'.'.join(map(str, first['loc']))}`: {first['msg']}", None
    names = [concept.name for concept in concepts]
    if len(set(names)) != len(names):
        return f"concept names must differ, got {names}", None
    for concept in concepts:
        if set(concept.descriptions) != set(class_names):
            return (
                f"concept {concept.name!r} needs a description for each class: expected {list(class_names)}, got "
                f"{list(concept.descriptions)}"
            ), None
        for text in () if concept.spurious else concept.descriptions.values():
            if (reason := traits.why_not(text)) is not None:
                return f"concept {concept.name!r}: {reason}", None
    used = tuple(concept for concept in concepts if not concept.spurious)
    if not used:
        return "every concept is marked spurious; leave one for the programs", None
    excluded = tuple(concept.name for concept in concepts if concept.spurious)
    return "", Concepts(used=used, excluded=excluded, class_names=tuple(class_names), traits=traits)
