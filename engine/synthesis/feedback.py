"""What the programs so far lack, seen from their votes on a sample of training rows, and said to a language model.

Gold labels have no part in it: rows without a vote, classes without a vote and votes that contradict each other can be
counted without knowing who is right. Rows are described by words that many of them share; one is quoted only where the
task allows it (`synthesis.show_rows`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.synthesis.prompts import rendered
from engine.task import LabelingTask
from operators.schema import ABSTAIN, Floats, Votes

LEAST_SHARE = 0.05
"""Of the rows: uncovered or contested rows below this are not worth a program of their own."""

_SPARSE = 0.05
"""A class with votes on less than this share of an equal class's rows lacks programs."""

_MOST_WORDS = 15
_LEAST_ROWS_OF_A_WORD = 5
_LEAST_SHARE_OF_A_WORD = 0.02
_MOST_CHARS_OF_A_ROW = 300
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The label matrix of the sample, summed up.

    Attributes:
        coverage: of the rows, those with a vote, 0..1.
        settled: of the rows, those with two votes or more of which two thirds agree, 0..1.
        classes: (k,) of the rows, those with a vote for the class, 0..1.
        contested: (k, k) of the rows, those with votes for both classes; upper triangle.
        conflict: of the rows, those with votes for more than one class, 0..1.
    """

    coverage: float
    settled: float
    classes: Floats
    contested: Floats
    conflict: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing that is missing.

    Attributes:
        kind: what it is.
        classes: the class without votes, or the two that are contested, or none.
        weight: of the rows, those that it concerns, 0..1; 1 for a class without votes.
    """

    kind: Literal["class", "uncovered", "conflict"]
    classes: tuple[int, ...]
    weight: float


def look(votes: Votes, *, num_classes: int) -> View:
    """Sum up a label matrix; no rows or no programs give zeros."""
    counts = _counts(votes, num_classes)
    rows = max(1, len(votes))
    has = counts > 0
    cast = counts.sum(axis=1)
    settled = (cast >= 2) & (3 * counts.max(axis=1, initial=0) >= 2 * cast)
    together = has.T.astype(np.int64) @ has.astype(np.int64)
    return View(
        coverage=float((cast > 0).sum() / rows),
        settled=float(settled.sum() / rows),
        classes=has.sum(axis=0) / rows,
        contested=np.triu(together, 1) / rows,
        conflict=float((has.sum(axis=1) > 1).sum() / rows),
    )


def needs(view: View) -> tuple[Need, ...]:
    """List what is missing, the most pressing first."""
    found = [
        Need(kind="class", classes=(y,), weight=1.0)
        for y, share in enumerate(view.classes.tolist())
        if share < _SPARSE / len(view.classes)
    ]
    if 1 - view.coverage > LEAST_SHARE:
        found.append(Need(kind="uncovered", classes=(), weight=round(1 - view.coverage, 9)))
    if view.conflict > LEAST_SHARE:
        first, second = np.unravel_index(int(view.contested.argmax()), view.contested.shape)
        found.append(Need(kind="conflict", classes=(int(first), int(second)), weight=view.conflict))
    return tuple(sorted(found, key=lambda need: -need.weight))


def choose(found: Sequence[Need], asked: Mapping[tuple[str, tuple[int, ...]], int]) -> Need | None:
    """Take the most pressing need, each the less so the more often it was asked for.

    Args:
        found: as `needs` gives them.
        asked: {(kind, classes): how often}.
    """
    return max(found, key=lambda n: n.weight / (1 + asked.get((n.kind, n.classes), 0)), default=None)


def paragraph(need: Need, *, task: LabelingTask, view: View, votes: Votes, texts: Sequence[str]) -> str:
    """Say a need to a language model.

    Args:
        need: one of `needs(view)`.
        task: names the classes, and says how many rows may be quoted.
        view: of `votes`.
        votes: (n, m) of the programs so far.
        texts: (n,) the rows.
    """
    names = task.class_names
    if need.kind == "class":
        (y,) = need.classes
        return rendered("focus_class.jinja", never=view.classes[y] == 0, index=y, name=names[y], abstain=ABSTAIN)
    counts = _counts(votes, task.num_classes)
    inside: npt.NDArray[np.bool_] = (
        counts.sum(axis=1) == 0 if need.kind == "uncovered" else np.all(counts[:, list(need.classes)] > 0, axis=1)
    )
    values: dict[str, object] = {
        "share": f"{need.weight:.0%}",
        "words": frequent_words(texts, inside),
        "rows": _quoted(texts, inside, task.synthesis.show_rows),
    }
    if need.kind == "conflict":
        first, second = need.classes
        values |= {"first_index": first, "first": names[first], "second_index": second, "second": names[second]}
    return rendered(f"focus_{need.kind}.jinja", **values)


def frequent_words(texts: Sequence[str], inside: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """List words that many rows of a part share and fewer of the others, the most telling first.

    A word of few rows is never among them, since it may be somebody's name.

    Args:
        texts: (n,) rows.
        inside: (n,) True for the rows of the part.
    """
    within: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for text, chosen in zip(texts, inside.tolist(), strict=True):
        (within if chosen else outside).update({word.casefold() for word in _WORD.findall(text)})
    rows, others = int(inside.sum()), int((~inside).sum())
    least = max(_LEAST_ROWS_OF_A_WORD, _LEAST_SHARE_OF_A_WORD * rows)
    scores = {}
    for word, count in within.items():
        if count >= least:
            ratio = np.log((count + 0.5) / (rows + 1)) - np.log((outside[word] + 0.5) / (others + 1))
            scores[word] = float(count / rows * ratio)
    telling = sorted((word for word, score in scores.items() if score > 0), key=lambda word: (-scores[word], word))
    return tuple(telling[:_MOST_WORDS])


def _quoted(texts: Sequence[str], inside: npt.NDArray[np.bool_], wanted: int) -> list[str]:
    places = np.flatnonzero(inside)
    if len(places) > wanted:
        places = places[np.arange(wanted) * len(places) // max(1, wanted)]
    return [" ".join(texts[place].split())[:_MOST_CHARS_OF_A_ROW] for place in places.tolist()]


def _counts(votes: Votes, num_classes: int) -> npt.NDArray[np.int64]:
    """(n, k) votes for each class."""
    counts: npt.NDArray[np.int64] = (votes[:, :, None] == np.arange(num_classes)).sum(axis=1)
    return counts
