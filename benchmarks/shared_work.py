"""Would it pay to share work among programs? The most that it could save, by kind of work, on all real programs.

Each program is rewritten so that the work in question is a read of a value recorded before, and timed in turn with the
original; votes must stay equal. No implementation can save more, since even a shared value has to be made once and
handed over. The kinds:

- lower: `.lower()` and `.casefold()` of the row's own text;
- compile: the look-up of a pattern by the functions of `re`, as if every pattern were compiled;
- keywords: scans for keywords, `any(word in text for word in WORDS)` and the like, as if one automaton ran for all;
- the three together: what the decision is about;
- scanned: keywords, and one automaton over the keywords of all programs run once over every text that they search;
- prepared: besides, every call that gives the same text or words as a call of another program of the task.

    python benchmarks/shared_work.py [--data DIR] [--programs DIR] [--out FILE] [--repeats 3]
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from measure import NUM_CLASSES, ROOT, SHARED, TEXTS, plain_votes, provenance, sources_of, texts_of
from shared_work_oracle import Key, Oracle
from shared_work_rewrite import KINDS, rewrite, shareable, survey

ROWS = {"youtube": 2_056, "sms": 4_000, "imdb": 600, "yelp": 1_000, "medabs": 600, "french": 2_000}
"""As many as take about two seconds a task."""

BAR_PERCENT = 15.0
"""What a way of sharing must be able to save over all real programs to be built at all."""

VARIANTS = {
    "lower": ("lower",),
    "compile": ("compile",),
    "keywords": ("keywords",),
    "the three": ("lower", "compile", "keywords"),
    "prepared": ("prepared",),
    "all": KINDS,
}
_DECIDING = ("lower", "compile", "keywords", "the three")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One program.

    Attributes:
        us_per_row: of the original.
        sites: number of shareable expressions by kind.
        us_rewritten: microseconds a row by variant.
        us_scan: microseconds a row of one scan for the keywords of the task, this program's share in it.
    """

    task: str
    program: int
    us_per_row: float
    sites: dict[str, int]
    us_rewritten: dict[str, float]
    us_scan: float


def main() -> None:
    """Measure every program, print the table and write it; exit with 1 when sharing could pay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "text", help="folder of the texts")
    parser.add_argument("--programs", type=Path, default=SHARED / "programs", help="a folder of programs a task")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "shared_work.json")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    bounds = []
    for task in TEXTS:
        sources = sources_of(task, programs=options.programs)
        texts = texts_of(task, data=options.data, rows=ROWS[task]).to_pylist()
        bounds += measure(task, sources, texts, num_repeats=options.repeats)
    print(markdown(bounds))
    saved = summary(bounds)
    content = {
        **provenance(packages=("numpy", "pyarrow")),
        "bar_percent": BAR_PERCENT,
        "saved_percent": saved,
        "programs": [asdict(bound) for bound in bounds],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=1) + "\n")
    pays = [name for name in _DECIDING if saved["all"][name] >= BAR_PERCENT]
    sys.exit(f"sharing could pay: {', '.join(pays)}" if pays else 0)


def measure(task: str, sources: Sequence[str], texts: Sequence[str], *, num_repeats: int) -> list[Bound]:
    """Survey the programs of a task, record what they could share, and time them without it."""
    found = [_surveyed(source, texts) for source in sources]
    for (oracle, sites), others in ((one, [o for o, _ in found if o is not one[0]]) for one in found):
        sites["prepared"] = {
            key
            for key, seen in oracle.seen.items()
            if seen.values and any(_same(seen.values, other.values) for o in others for other in o.seen.values())
        }
    scan_s, num_scanning = _scan_s(found)
    bounds = []
    for number, (source, (_, sites)) in enumerate(zip(sources, found, strict=True)):
        times = _timed(source, sites, texts, num_classes=NUM_CLASSES[task], num_repeats=num_repeats)
        us = {name: round(1e6 * seconds / len(texts), 3) for name, seconds in times.items()}
        bounds.append(
            Bound(
                task=task,
                program=number,
                us_per_row=us.pop("original"),
                sites={kind: len(sites[kind]) for kind in KINDS},
                us_rewritten=us,
                us_scan=round(1e6 * scan_s / len(texts) / num_scanning, 3) if sites["keywords"] else 0.0,
            )
        )
    return bounds


def _surveyed(source: str, texts: Sequence[str]) -> tuple[Oracle, dict[str, set[Key]]]:
    oracle = Oracle()
    call = _loaded(survey(source), oracle)
    for oracle.row, oracle.text in enumerate(texts):
        call(oracle.text)
    return oracle, shareable(source, oracle)


def _same(mine: dict[int, int], theirs: dict[int, int] | None) -> bool:
    """Whether two calls give the same on every row that both come to, which are nearly all rows of either."""
    if not theirs:
        return False
    both = mine.keys() & theirs.keys()
    if len(both) < 0.9 * max(len(mine), len(theirs)):
        return False
    return all(mine[row] == theirs[row] for row in both)


def _scan_s(found: Sequence[tuple[Oracle, dict[str, set[Key]]]]) -> tuple[float, int]:
    """Time one pass of an automaton over all texts that are searched for keywords.

    Returns CPU seconds, and the number of programs that search.
    """
    leaves = [oracle.seen[leaf] for oracle, sites in found for leaf in sites["leaves"]]
    keywords = sorted({word for seen in leaves for word in seen.keywords if word})
    texts = list({text for seen in leaves for text in seen.searched})
    if not keywords:
        return 0.0, 0
    scan = _scanner(keywords)
    start = time.thread_time()
    deque(map(scan, texts), maxlen=0)
    return time.thread_time() - start, sum(bool(sites["keywords"]) for _, sites in found)


def _scanner(keywords: list[str]) -> Callable[[str], object]:
    """Make a function that finds which keywords a text holds."""
    try:
        import ahocorasick_rs  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        # Slower, and blind to keywords within keywords.
        return re.compile("|".join(map(re.escape, keywords))).findall
    automaton = ahocorasick_rs.AhoCorasick(keywords)
    return lambda text: set(automaton.find_matches_as_indexes(text, overlapping=True))


def _timed(
    source: str, sites: dict[str, set[Key]], texts: Sequence[str], *, num_classes: int, num_repeats: int
) -> dict[str, float]:
    """Time a program and its variants in turn; returns the best CPU seconds of each."""
    oracles: dict[str, tuple[str, Oracle]] = {"original": (source, Oracle())}
    for name, kinds in VARIANTS.items():
        chosen = set().union(*(sites[kind] for kind in kinds if kind != "compile"))
        patterns = sites["compile"] if "compile" in kinds else set()
        if not chosen and not patterns:
            continue
        oracle = Oracle()
        call = _loaded(rewrite(source, chosen, patterns=patterns, replay=False), oracle)
        for text in texts:
            call(text)
        oracles[name] = rewrite(source, chosen, patterns=patterns, replay=True), oracle
    expected = plain_votes(_loaded(source, Oracle()), texts, num_classes=num_classes)
    best = dict.fromkeys(oracles, float("inf"))
    for _ in range(num_repeats):
        for name, (rewritten, oracle) in oracles.items():
            call = _loaded(rewritten, oracle)
            # What is recorded is held by this benchmark; the collector must not walk over it in the timed loop.
            gc.collect()
            gc.freeze()
            start = time.thread_time()
            votes = plain_votes(call, texts, num_classes=num_classes)
            best[name] = min(best[name], time.thread_time() - start)
            gc.unfreeze()
            if not np.array_equal(votes, expected):
                raise ValueError(f"the rewritten program votes differently ({name}):\n{rewritten}")
    return {"original": best["original"], **{name: best.get(name, best["original"]) for name in VARIANTS}}


def _loaded(source: str, oracle: Oracle) -> Callable[[str], object]:
    namespace: dict[str, object] = {"_oracle": oracle, **oracle.replay()}
    exec(source, namespace)  # noqa: S102 - the programs are ours, and only their own time is of interest
    function = namespace["label_function"]
    assert callable(function)
    return function


def summary(bounds: Sequence[Bound]) -> dict[str, dict[str, float]]:
    """Percent of CPU time saved, by task and over all: {task: {variant: percent}}.

    "all" is the time of all programs together, which those with long texts decide; beside it the mean of the tasks,
    the mean of the programs, and "all but one", without the program that would gain most.
    """
    tasks = list(dict.fromkeys(bound.task for bound in bounds))
    found = {task: _saved([bound for bound in bounds if bound.task == task]) for task in tasks}
    single = [_saved([bound]) for bound in bounds]
    most = max(bounds, key=lambda bound: bound.us_per_row - bound.us_rewritten["the three"])
    means = {"mean of tasks": list(found.values()), "mean of programs": single}
    found["all"] = _saved(bounds)
    found["all but one"] = _saved([bound for bound in bounds if bound is not most])
    found |= {name: {v: round(mean(one[v] for one in of), 2) for v in of[0]} for name, of in means.items()}
    return found


def _saved(bounds: Sequence[Bound]) -> dict[str, float]:
    before = sum(bound.us_per_row for bound in bounds)
    after = {name: sum(bound.us_rewritten[name] for bound in bounds) for name in VARIANTS}
    after["scanned"] = after["keywords"] + sum(bound.us_scan for bound in bounds)
    return {name: round(100 * (1 - us / before), 2) for name, us in after.items()}


def markdown(bounds: Sequence[Bound]) -> str:
    """Return the table: percent saved at most, and in how many programs there was anything of a kind."""
    saved = summary(bounds)
    names = list(saved["all"])
    lines = [
        f"| task | programs | us/row | {' | '.join(names)} | programs with {', '.join(KINDS)} |",
        "|---" * (4 + len(names)) + "|",
    ]
    for task, percent in saved.items():
        own = [bound for bound in bounds if bound.task == task] or bounds
        having = ", ".join(str(sum(bound.sites[kind] > 0 for bound in own)) for kind in KINDS)
        cells = " | ".join(f"{percent[name]:.1f}" for name in names)
        lines.append(f"| {task} | {len(own)} | {sum(b.us_per_row for b in own):.0f} | {cells} | {having} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
