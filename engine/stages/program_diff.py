"""Two versions of a program, or two programs, side by side: the lines that differ, and the votes that do."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import ConfigError
from engine.stages.library import Library, Version
from engine.stages.trials import program_key
from operators.schema import ABSTAIN
from operators.votes import VoteStore


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteChanges:
    """How the votes of two programs differ, over the rows on which the run keeps votes of both.

    Attributes:
        rows: on which votes of both are kept.
        changed: of these, rows with another vote.
        by_kind: {(vote before, vote after): rows}, by class name or `abstain`, the most frequent first.
    """

    rows: int
    changed: int
    by_kind: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two texts compared.

    Attributes:
        lines: a unified diff; empty where the texts are the same.
        votes: None where the run has no rows with votes of both.
    """

    old: Version
    new: Version
    lines: tuple[str, ...]
    votes: VoteChanges | None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        votes = None
        if self.votes is not None:
            kinds = [{"from": a, "to": b, "rows": rows} for (a, b), rows in self.votes.by_kind.items()]
            votes = {"rows": self.votes.rows, "changed": self.votes.changed, "changes": kinds}
        sides = [{"name": v.name, "file": str(v.path), "digest": v.digest} for v in (self.old, self.new)]
        return {"old": sides[0], "new": sides[1], "diff": "\n".join(self.lines), "votes": votes}


def difference(library: Library, name: str, other: str | None = None) -> Difference:
    """Compare a program with what it was, or with another one.

    Args:
        library: whose programs they are.
        name: of the program.
        other: name of another program, which is the new side then; or the first digits of the digest of an earlier
            version; None for the version before this one.

    Raises:
        ConfigError: there is no such program or version.
    """
    now = library.now(name)
    if other is not None and (library.folder / f"{other}.py").is_file():
        old, new = now, library.now(other)
    else:
        old, new = _earlier(library, name, other), now
    lines = difflib.unified_diff(old.text.splitlines(), new.text.splitlines(), _title(old), _title(new), lineterm="")
    return Difference(old=old, new=new, lines=tuple(lines), votes=_votes(library, old.digest, new.digest))


def _earlier(library: Library, name: str, digest: str | None) -> Version:
    kept = library.earlier(name)
    known = ", ".join(version.digest[:8] for version in kept)
    if digest is None:
        if not kept:
            raise ConfigError(f"{name} is as it was first written; name another program to compare it with")
        return kept[0]
    found = [version for version in kept if version.digest.startswith(digest)]
    if not found:
        raise ConfigError(
            f"{digest} is neither another program nor an earlier version of {name}; its versions are {known or 'none'}"
        )
    return found[0]


def _title(version: Version) -> str:
    return f"{version.name} {version.digest[:8]}"


def _votes(library: Library, old: str, new: str) -> VoteChanges | None:
    keys = [program_key(library.task, digest) for digest in (old, new)]
    if keys[0] == keys[1]:
        return None
    store = VoteStore(library.shards)
    names = {path.stem.rsplit("-", 1)[0] for path in (library.run / "votes").glob("*.parquet")}
    both = sorted(names - store.missing(sorted(names), keys).keys())
    if not both:
        return None
    k = library.task.num_classes
    counts = np.zeros((k + 1, k + 1), np.int64)
    for shard in both:
        votes, _ = store.read(shard, keys)
        # An abstain takes the last place.
        before, after = np.where(votes == ABSTAIN, k, votes).astype(np.int64).T
        np.add.at(counts, (before, after), 1)
    kinds = [*library.task.class_names, "abstain"]
    order = sorted(zip(*np.nonzero(counts), strict=True), key=lambda place: (-counts[place], place))
    by_kind = {(kinds[a], kinds[b]): int(counts[a, b]) for a, b in order if a != b}
    return VoteChanges(rows=int(counts.sum()), changed=sum(by_kind.values()), by_kind=by_kind)
