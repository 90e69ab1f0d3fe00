"""What the sandbox costs: CPU time of a plain loop over programs and rows, by that of the same in the sandbox.

1.0 would be a sandbox for nothing. The plain loop is given Python strings, the sandbox an Arrow array, and is charged
with all that its processes and the caller do. Both must come to equal votes. The real programs are ten each of three
tasks; ten small ones of about 2 us a row show what a row costs in itself. Ray's rows charge all of an actor's work.

    python benchmarks/sandbox_throughput.py [--data ../shared/data/text] [--programs ../shared/programs]
        [--out benchmarks/results/sandbox_throughput.json] [--repeats 5] [--without-ray]
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import sandbox_in_ray
from measure import (
    NUM_CLASSES,
    ROOT,
    SHARED,
    children_cpu_s,
    label_function,
    plain_votes,
    provenance,
    sources_of,
    texts_of,
)

from operators.sandbox.pool import Limits, Sandbox

ROWS = {"youtube": 16_384, "imdb": 2_048, "yelp": 3_072}
"""Of a shard. By default one has 16,384 rows or 4 MB of text; of the long texts half of that, which takes seconds."""

RAY_ROWS = {"youtube": 8_192, "imdb": 1_024, "yelp": 1_536}
"""Of a shard on Ray, whose share in the cost is larger the smaller it is: as many as take a second."""

BARS = {
    ("real", "a worker a program"): 0.93,
    ("cheap", "a worker a program"): 0.78,
    ("real", "one worker"): 0.97,
    ("cheap", "one worker"): 0.93,
    ("real", "a worker a program, on Ray Data"): 0.90,
}
HEADER = "| programs | mode | rows | us/row | ratio | lowest..highest | bar | |\n" + "|---" * 8 + "|"
_GROUPS = {"a worker a program": 1, "one worker": 10}

CHEAP = """KEYWORDS = {keywords!r}
def label_function(text):
    lowered = text.lower()
    for keyword in KEYWORDS:
        if keyword in lowered:
            return {vote}
    return -1
"""
_WORDS = """
subscribe channel giveaway follow website earn promo visit lyrics melody chorus childhood nostalgia masterpiece album
concert guitar vocals brilliant gorgeous awesome terrible horrible boring refund invoice discount coupon winner jackpot
casino bitcoin wallet password account verify urgent prize claim reward
"""
_CHEAP_KEYWORDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One row of the table.

    Attributes:
        ratio: median of the repetitions: CPU time of the plain loop by that of the sandbox.
        lowest, highest: of the repetitions.
        us_per_row: microseconds of the plain loop for a row and a program.
    """

    case: str
    kind: str
    mode: str
    rows: int
    us_per_row: float
    ratio: float
    lowest: float
    highest: float
    bar: float

    @property
    def passed(self) -> bool:
        """Whether the bar is reached."""
        return self.ratio >= self.bar


def main() -> None:
    """Measure every case, print the table and write it; exit with 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "text", help="folder of the texts")
    parser.add_argument("--programs", type=Path, default=SHARED / "programs", help="has youtube/, imdb/, yelp/")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "sandbox_throughput.json")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--without-ray", action="store_true", help="leave out the rows on Ray Data")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    print(HEADER, flush=True)
    scores = []
    youtube = texts_of("youtube", data=options.data, rows=ROWS["youtube"])
    scores += compare("ten small ones", "cheap", cheap_sources(), youtube, num_repeats=options.repeats, calls=8)
    workloads = []
    for task, rows in ROWS.items():
        sources = sources_of(task, programs=options.programs)
        texts = texts_of(task, data=options.data, rows=rows)
        scores += compare(task, "real", sources, texts, num_repeats=options.repeats, calls=1)
        workloads.append(sandbox_in_ray.Workload(task=task, sources=sources, texts=texts.slice(0, RAY_ROWS[task])))
    if not options.without_ray:
        plain_us = {score.case: score.us_per_row for score in scores}
        for task, found in sandbox_in_ray.ratios(workloads, group_size=1, num_repeats=1).items():
            mode = "a worker a program, on Ray Data"
            scores.append(scored(task, "real", mode, RAY_ROWS[task], plain_us[task], found))
    content = {**provenance(packages=("numpy", "pyarrow", "ray")), "scores": [asdict(score) for score in scores]}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=1) + "\n")
    sys.exit(0 if all(score.passed for score in scores) else 1)


def cheap_sources() -> list[str]:
    """Write ten different programs that take about 2 us a row."""
    words = _WORDS.split()
    return [CHEAP.format(keywords=tuple(words[first : first + _CHEAP_KEYWORDS]), vote=first % 2) for first in range(10)]


def compare(
    case: str, kind: str, sources: Sequence[str], column: pa.Array, *, num_repeats: int, calls: int
) -> list[Score]:
    """Run programs plainly and in the sandbox, in turn.

    Args:
        case: name of the row.
        kind: "real" or "cheap".
        sources: of the programs.
        column: (n,) strings.
        num_repeats: of all modes.
        calls: passes over the rows in each repetition, so that it takes seconds.

    Raises:
        ValueError: the sandbox's votes differ from the plain ones.
    """
    num_classes = NUM_CLASSES.get(case, 2)
    texts = column.to_pylist()
    functions = [label_function(source) for source in sources]
    expected = np.stack([plain_votes(call, texts, num_classes=num_classes) for call in functions], axis=1)
    ratios: dict[str, list[float]] = {mode: [] for mode in _GROUPS}
    plain_s = []
    with ExitStack() as stack:
        sandboxes = {
            mode: stack.enter_context(Sandbox(sources, num_classes=num_classes, limits=Limits(group_size=size)))
            for mode, size in _GROUPS.items()
        }
        # The plain loop must not pay for the garbage collector's walks over what this benchmark holds.
        gc.collect()
        gc.freeze()
        for _ in range(num_repeats):
            start = time.process_time()
            for _ in range(calls):
                for call in functions:
                    plain_votes(call, texts, num_classes=num_classes)
            plain_s.append(time.process_time() - start)
            for mode, sandbox in sandboxes.items():
                start = time.process_time() + children_cpu_s()
                outcomes = [sandbox.run(column, seed=0) for _ in range(calls)]
                ratios[mode].append(plain_s[-1] / (time.process_time() + children_cpu_s() - start))
                if not all(np.array_equal(outcome.votes, expected) for outcome in outcomes):
                    raise ValueError(f"{case}, {mode}: the sandbox's votes are not those of the plain loop")
    us_per_row = 1e6 * min(plain_s) / (calls * len(texts) * len(sources))
    return [scored(case, kind, mode, len(texts), us_per_row, found) for mode, found in ratios.items()]


def scored(case: str, kind: str, mode: str, rows: int, us_per_row: float, found: Sequence[float]) -> Score:
    """Sum up the repetitions of a case, and print its row at once, since all take long."""
    score = Score(
        case=case,
        kind=kind,
        mode=mode,
        rows=rows,
        us_per_row=round(us_per_row, 2),
        ratio=round(median(found), 3),
        lowest=round(min(found), 3),
        highest=round(max(found), 3),
        bar=BARS[kind, mode],
    )
    cells = (case, mode, rows, f"{us_per_row:.1f}", f"{score.ratio:.3f}", f"{score.lowest:.3f}..{score.highest:.3f}")
    print("|", " | ".join(map(str, [*cells, f"{score.bar:.2f}", "ok" if score.passed else "MISSED"])), "|", flush=True)
    return score


if __name__ == "__main__":
    main()
