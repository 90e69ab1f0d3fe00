"""What a stage's result follows from, by name: its digest, and in words what changed since the last time.

The digest decides whether a result is reused. It covers the values of the inputs and nothing else, so that whatever
makes a stage run again has a name, and a rerun can say which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.store import digest_of

_MOST_THINGS = 2000
"""Things kept one by one in run.json, which is read and written whole; of more only their digest is kept."""

_MOST_NAMED = 3
"""Changes of one kind that are told one by one."""

Settings = Mapping[str, object]
"""{name in words: JSON value}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One thing that a result follows from.

    Attributes:
        name: in words, as in "... changed"; empty for what changes only with another input, which is told.
        value: JSON; the digest covers it.
        settings: what the value says, by name, for telling which of it changed.
        kind: of the things, a word before their names; empty for files, whose names speak for themselves.
        things: {name: digest} of what the value was made of, for telling which is new, changed or gone.
        made_by: the stages that made it, whose own reasons are then the reasons.
    """

    name: str
    value: object
    settings: Settings = field(default_factory=dict)
    kind: str = ""
    things: Mapping[str, str] = field(default_factory=dict)
    made_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All that a stage's result follows from.

    Attributes:
        stage: its name.
        version: of the way in which the stage makes its result.
        parts: in the order in which the digest covers them.
    """

    stage: str
    version: tuple[int, ...]
    parts: tuple[Input, ...]

    @property
    def digest(self) -> str:
        """Of all parts; equal digests mean equal results."""
        return digest_of(self.stage, *self.version, *(part.value for part in self.parts))

    def to_json(self) -> dict[str, Any]:
        """Return what run.json keeps, so that a later run can tell what changed."""
        kept: dict[str, Any] = {"version": list(self.version)}
        for part in filter(_is_told, self.parts):
            entry: dict[str, Any] = {"digest": digest_of(part.value)}
            if part.settings:
                entry["settings"] = {name: _short(value) for name, value in part.settings.items()}
            if part.things and len(part.things) <= _MOST_THINGS:
                entry["things"] = dict(part.things)
            kept[part.name] = entry
        return kept


def given(name: str, value: object) -> Input:
    """Make the input that a user gives as one value, which is told as it is."""
    return Input(name=name, value=value, settings={name: value})


def changes(
    before: Mapping[str, Any] | None, inputs: Inputs, *, reasons_of: Callable[[str], Sequence[str]]
) -> list[str]:
    """Say what changed since a result was made, each in a few words.

    Args:
        before: what `Inputs.to_json` returned then; None where nothing was written down.
        inputs: now; their digest is another one than then.
        reasons_of: why a stage was computed in this run, nothing if it was not; for the inputs that it made.

    Returns:
        at least one reason.
    """
    if before is None:
        return ["an earlier version made it and did not write down from what"]
    now, found = inputs.to_json(), []
    if before.get("version") != now["version"]:
        found.append("this version of the engine does it in another way")
    for part in filter(_is_told, inputs.parts):
        old, new = before.get(part.name, {}), now[part.name]
        if old.get("digest") != new["digest"]:
            found += _changed(part, old, new, reasons_of)
    # An input may change with another, such as the votes with the programs: told once.
    return list(dict.fromkeys(found)) or ["its inputs changed"]


def _is_told(part: Input) -> bool:
    return bool(part.name)


def _changed(
    part: Input, old: Mapping[str, Any], new: Mapping[str, Any], reasons_of: Callable[[str], Sequence[str]]
) -> list[str]:
    found = _changed_settings(old.get("settings", {}), new.get("settings", {}))
    if "things" in old and "things" in new:
        found += _changed_things(part, old["things"], new["things"])
    for stage in part.made_by:
        found += reasons_of(stage)
    return found or [f"{part.name} changed"]


def _changed_settings(old: Settings, new: Settings) -> list[str]:
    found = []
    for name, value in new.items():
        if name not in old:
            found.append(f"{name} is new")
        elif old[name] != value:
            hidden = isinstance(value, str) and value.startswith("#")
            found.append(f"{name} changed" if hidden else f"{name} changed ({_said(old[name])} -> {_said(value)})")
    return found


def _changed_things(part: Input, old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Tell things apart by name, and by digest where a name is gone: that thing has another name now."""
    gone = {old[name]: name for name in old if name not in new}
    renamed = {name: gone.pop(new[name]) for name in new if name not in old and new[name] in gone}
    found = _listed(part, [n for n in new if n not in old and n not in renamed], "is new", "are new")
    edited = ("was edited", "were edited") if part.kind else ("changed", "changed")
    found += _listed(part, [n for n in new if n in old and old[n] != new[n]], *edited)
    found += _listed(part, list(gone.values()), "was removed", "were removed")
    found += [f"{part.kind} {before} is now called {name}".lstrip() for name, before in renamed.items()]
    if not found and list(old) != list(new):
        found.append(f"{part.name} stand in another order")
    return found


def _listed(part: Input, names: Sequence[str], one: str, many: str) -> list[str]:
    if not names:
        return []
    kind = part.kind if len(names) == 1 or not part.kind else f"{part.kind}s"
    told = ", ".join(names[:_MOST_NAMED])
    if len(names) > _MOST_NAMED:
        told += f" and {len(names) - _MOST_NAMED} more"
    return [f"{kind} {told} {one if len(names) == 1 else many}".lstrip()]


def _short(value: object) -> object:
    """Keep what can be told in a line; of the rest a digest, marked as one."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else _said(value)
    return text if len(text) <= 80 and not text.startswith("#") else f"#{digest_of(value)}"


def _said(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_said(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_said(inner) for inner in value)
    return str(value)
