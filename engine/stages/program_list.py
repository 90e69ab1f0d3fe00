"""What is known of each program of a run: its state, where it comes from, and the figures of its votes.

Read from what the stages wrote, without the lock, so that a run that is at work is no hindrance. Figures belong to a
source: those of a program that was edited since are not shown for its new source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from engine.errors import ConfigError
from engine.stages.library import Library
from engine.stages.trials import program_key
from engine.synthesis.history import edits, value_of
from engine.synthesis.programs import Program, load_folder, split
from engine.synthesis.provenance import read_header
from operators.admission import Terms, Trial

State = Literal["used", "new", "disabled", "rejected", "quarantined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One program; what is not known is None.

    Attributes:
        name: of the program.
        state: `used` by the last run; `new` to it: the next one will try it; `disabled` by its header; `rejected`
            by the screen, the sandbox or the trial, or an answer that gave no program; `quarantined` while it voted.
        reasons: of a state that is not `used` or `new`.
        edits: how often it was edited.
        added: whether a person added it.
        file: where it stands.
        digest: of its source.
        model: that wrote it.
        strategy: of the prompt, where the header states one.
        tokens_in: of the request that bought it.
        tokens_out: likewise.
        price: of that request, in `currency`.
        coverage: share of rows in which it votes, 0..1.
        estimated_accuracy: by the label model of the last report, 0..1.
        faults: cells without a usable vote.
        cpu_s_per_row: CPU seconds a row, on the sample of admission.
    """

    name: str
    state: State
    reasons: tuple[str, ...] = ()
    edits: int = 0
    added: bool = False
    file: Path
    digest: str | None = None
    model: str | None = None
    strategy: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    price: float | None = None
    currency: str | None = None
    coverage: float | None = None
    estimated_accuracy: float | None = None
    faults: int | None = None
    cpu_s_per_row: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {"reasons": list(self.reasons), "file": str(self.file)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the stages of the last run wrote down, by program key; the report by digest."""

    voted: frozenset[str]
    figures: Mapping[str, Mapping[str, Any]]
    quarantined: Mapping[str, str]
    not_loading: Mapping[str, str]
    trials: Mapping[str, Trial]
    reported: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def entries(library: Library) -> tuple[Entry, ...]:
    """Describe every program and every answer that gave none, sorted by name.

    Raises:
        ConfigError: the folder of the programs is not there, or empty.
    """
    programs, unusable = load_folder(library.folder)
    known = _known(library)
    found = [_entry(library, program, known) for program in programs]
    for error in unusable:
        path = library.folder / f"{error.name}.py"
        found.append(_rejected(error.name, error.reasons, path))
    record = library.record("synthesis")
    there = {entry.name for entry in found}
    for name, reasons in (record.result["rejected"] if record is not None and library.own else {}).items():
        answer = library.answer(name)
        if name not in there and answer is not None:
            found.append(_rejected(name, tuple(reasons), answer))
    return tuple(sorted(found, key=lambda entry: entry.name))


def entry_of(library: Library, name: str) -> Entry:
    """Describe one program, or one answer that gave none.

    Raises:
        ConfigError: there is none of that name.
    """
    found = {entry.name: entry for entry in entries(library)}
    if name not in found:
        raise ConfigError(f"{library.folder}: no program {name}; there are {', '.join(found)}")
    return found[name]


def text_of(entry: Entry) -> str:
    """Return the file of a program; bytes that are no UTF-8 are marked."""
    return entry.file.read_bytes().decode("utf-8-sig", "replace")


def _entry(library: Library, program: Program, known: _Known) -> Entry:
    key = program_key(library.task, program.digest)
    if library.task.modality == "image":
        # What ran is the program bound to its concepts; the run says under which key, if the file is the same.
        same = library.content.get("unbound", {}).get(program.name) == program.digest
        key = library.content.get("programs", {}).get(program.name, "") if same else ""
    trial, figures = known.trials.get(key), known.figures.get(key, {})
    return Entry(
        name=program.name,
        **_state(library, program, key, known),
        **_origin(program.header),
        file=library.folder / f"{program.name}.py",
        digest=program.digest,
        coverage=figures.get("coverage"),
        faults=figures.get("faults"),
        estimated_accuracy=known.reported.get(program.digest, {}).get("estimated_accuracy"),
        cpu_s_per_row=None if trial is None else trial.row_s,
    )


def _state(library: Library, program: Program, key: str, known: _Known) -> dict[str, Any]:
    if program.disabled is not None:
        return {"state": "disabled", "reasons": (program.disabled,)}
    if key in known.not_loading:
        return {"state": "rejected", "reasons": (f"it does not load in the sandbox: {known.not_loading[key]}",)}
    spec, trial = library.task.admission, known.trials.get(key)
    terms = Terms(**spec.model_dump(exclude={"rows"}))
    problems = terms.problems(trial) if spec.rows and trial is not None else ()
    if problems:
        return {"state": "rejected", "reasons": problems}
    if key in known.quarantined:
        return {"state": "quarantined", "reasons": (known.quarantined[key],)}
    return {"state": "used" if key in known.voted else "new"}


def _rejected(name: str, reasons: tuple[str, ...], path: Path) -> Entry:
    # An answer's file begins with its reasons; provenance stands below them, as comments.
    text = path.read_bytes().decode("utf-8", "replace")
    return Entry(name=name, state="rejected", reasons=reasons, file=path, **_origin(split(text)[0]))


def _origin(header: str) -> dict[str, Any]:
    source = read_header(header)
    return {
        "edits": len(edits(header)),
        "added": value_of(header, "added") is not None,
        "model": source.model,
        "strategy": value_of(header, "strategy", "prompt strategy"),
        "tokens_in": source.tokens_in,
        "tokens_out": source.tokens_out,
        "price": source.price,
        "currency": source.currency,
    }


def _known(library: Library) -> _Known:
    applied, tried = library.record("apply"), library.record("admission")
    result: Mapping[str, Any] = {} if applied is None else applied.result
    # Runs of before figures were written down still name the programs.
    voted = result.get("figures", library.content.get("programs", {}).values() if applied is not None else ())
    return _Known(
        voted=frozenset(voted),
        figures=result.get("figures", {}),
        quarantined=result.get("quarantined", {}),
        not_loading=library.content.get("not_loading", {}),
        trials={} if tried is None else {key: Trial(**values) for key, values in tried.result["trials"].items()},
        reported=_reported(library.run / "report.json"),
    )


def _reported(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    report = json.loads(path.read_text(encoding="utf-8"))
    return {program["digest"]: program for program in report["programs"]}
