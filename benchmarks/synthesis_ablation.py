"""What each part of synthesis brings, from recorded answers, so that no model is needed.

Gold labels are read to score alone. Rows are spread over each task's texts; scores are over all of these rows, a row
without a vote counts as the class with the largest prior. Three parts: the number of programs (the strong model's ten a
task, mean over seeded draws), screen, admission and refusal of copies on the raw answers of a small model, and the same
with and without repairs on recorded answers of live runs, by task and prompt strategy: those in `recorded/`, and
ledgers (completions.sqlite) that are named.

    python benchmarks/synthesis_ablation.py [--rows 2000] [--draws 5] [--ledger TASK:STRATEGY=FILE ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from measure import NUM_CLASSES, ROOT, SHARED, TEXTS, provenance, sources_of
from recorded_answers import Answer, from_ledger, recorded, small_model

from engine.errors import LabelModelError
from engine.label_model import methods
from engine.synthesis.trial import Tried
from engine.synthesis.verdict import Judge
from engine.task import LabelingTask
from operators.admission import Terms, observe
from operators.moments import Moments
from operators.patterns import Patterns
from operators.sandbox.pool import Limits
from operators.schema import ABSTAIN

_TERMS = Terms(max_row_s=0.005, max_error_fraction=0.1, max_abstain_fraction=1.0)


class Rows:
    """A task's rows with gold; runs each program on them at most once.

    Attributes:
        texts: (n,) what the engine's trial has, too.
    """

    def __init__(self, task: str, *, rows: int) -> None:
        table = pq.read_table(SHARED / "data" / "text" / f"{TEXTS[task]}.parquet", columns=["text", "label"])
        table = table.take(np.arange(min(rows, len(table))) * len(table) // min(rows, len(table)))
        self.task = task
        self.num_classes = NUM_CLASSES[task]
        self._array = table.column("text").combine_chunks().cast(pa.large_string())
        self.texts: Sequence[str] = self._array.to_pylist()
        self.gold = table.column("label").to_numpy()
        self._seen: dict[str, Tried] = {}

    def __call__(self, program: str) -> Tried:
        """Try a program, as a `Trial` does."""
        if program not in self._seen:
            (seen,) = observe(
                [program], self._array, num_classes=self.num_classes, limits=Limits(), max_row_s=_TERMS.max_row_s
            )
            problems = (*filter(None, [seen.load_error]), *_TERMS.problems(seen.trial))
            self._seen[program] = Tried(votes=seen.votes, problems=problems, told=problems)
        return self._seen[program]


@cache
def rows_of(task: str, rows: int) -> Rows:
    """Read a task's rows once."""
    return Rows(task, rows=rows)


def main() -> None:
    """Score everything at hand, print the tables and write them with what made them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--ledger", nargs="*", default=[], metavar="TASK:STRATEGY=FILE")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "synthesis_ablation.json")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    numbers = {task: by_number(rows_of(task, options.rows), draws=options.draws) for task in TEXTS}
    print("| programs | task | coverage | accuracy | log loss |\n|---|---|---|---|---|")
    for task, found in numbers.items():
        for number, row in found.items():
            print(f"| {number} | {task} | {cells(row)} |")
    raw = small_model(SHARED / "llm_programs" / "qwen2.5-coder-1.5b" / "responses.jsonl")
    at_hand = {f"{task}:qwen2.5-coder-1.5b": answers for task, answers in raw.items()} | recorded()
    for given in options.ledger:
        name, _, path = given.partition("=")
        at_hand[name] = from_ledger(Path(path))
    parts = {name: by_part(rows_of(name.partition(":")[0], options.rows), answers) for name, answers in at_hand.items()}
    heads = ("answers", "with", "programs", "tokens", "cost", "coverage", "accuracy", "log loss")
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for name, found_parts in parts.items():
        for part, row in found_parts.items():
            spent = f"{row['tokens'] or 'unknown'} | {'unknown' if row['cost'] is None else row['cost']}"
            print(f"| {name} | {part} | {row['programs']} | {spent} | {cells(row)} |")
    content = {**provenance(packages=["numpy", "cvxpy"]), "rows": options.rows, "draws": options.draws}
    options.json.write_text(json.dumps(content | {"number": numbers, "parts": parts}, indent=1) + "\n")


def cells(row: dict[str, float | None]) -> str:
    """Write the three scores of a row of a table."""
    return " | ".join("-" if row[key] is None else f"{row[key]:.3f}" for key in ("coverage", "accuracy", "log_loss"))


def by_number(rows: Rows, *, draws: int) -> dict[int, dict[str, float | None]]:
    """Score 1 to 10 of the strong model's programs, the mean over seeded draws of so many of them."""
    columns = [rows(source).votes for source in sources_of(rows.task, programs=SHARED / "programs")]
    found = {}
    for number in range(1, len(columns) + 1):
        times = 1 if number == len(columns) else draws
        chosen = [np.random.default_rng(seed).permutation(len(columns))[:number] for seed in range(times)]
        scores = [scored(rows, [columns[j] for j in sorted(places)]) for places in chosen]
        found[number] = {
            key: None if any(s[key] is None for s in scores) else round(float(np.mean([s[key] for s in scores])), 4)
            for key in scores[0]
        }
    return found


def by_part(rows: Rows, answers: Sequence[Answer]) -> dict[str, dict[str, float | None]]:
    """Score what is taken in with more and more parts of synthesis switched on."""
    first = [answer for answer in answers if not answer.again]
    settings = [
        ("screen", first, False, False),
        ("+ admission", first, True, False),
        ("+ copies refused", first, True, True),
    ]
    if len(first) < len(answers):
        settings.append(("+ repairs", list(answers), True, True))
    return {name: taken(rows, used, admission=on, diversity=copies) for name, used, on, copies in settings}


def taken(rows: Rows, answers: Sequence[Answer], *, admission: bool, diversity: bool) -> dict[str, float | None]:
    """Judge answers in the order they came, and score the programs that are taken in."""
    task = LabelingTask.model_validate(
        {
            "name": rows.task,
            "data": {"source": "none"},
            "classes": [{"name": str(y)} for y in range(rows.num_classes)],
            "instruction": "none",
            "synthesis": {"diversity": diversity},
        }
    )
    judge = Judge(task=task, trial=rows if admission else None)
    for number, answer in enumerate(answers):
        # The engine reads no program out of an answer that was cut off.
        if answer.problem is None:
            judge(f"p{number:03d}", answer.text, header="")
    columns = [rows(member.program.source).votes for member in judge.members]
    tokens = [answer.tokens for answer in answers]
    costs = [answer.cost for answer in answers]
    return {
        "answers": len(answers),
        "programs": len(columns),
        "tokens": None if None in tokens else sum(t for t in tokens if t is not None),
        "cost": None if None in costs else round(sum(c for c in costs if c is not None), 6),
        **scored(rows, columns),
    }


def scored(rows: Rows, columns: Sequence[npt.NDArray[np.int8]]) -> dict[str, float | None]:
    """Fit the label model without gold and score it; None where there is nothing to fit."""
    if not columns:
        return {"coverage": 0.0, "accuracy": None, "log_loss": None}
    votes, k = np.stack(columns, axis=1), rows.num_classes
    try:
        model = methods.fit("moment_matching", Moments.of(votes, k), Patterns.of(votes, k))
    except LabelModelError:
        return {"coverage": float((votes != ABSTAIN).any(axis=1).mean()), "accuracy": None, "log_loss": None}
    soft = model.predict_proba(votes)
    at_gold = soft[np.arange(len(soft)), rows.gold]
    best = soft >= soft.max(axis=1, keepdims=True) - 1e-12
    right = best[np.arange(len(soft)), rows.gold] / best.sum(axis=1)
    return {
        "coverage": round(float((votes != ABSTAIN).any(axis=1).mean()), 4),
        "accuracy": round(float(right.mean()), 4),
        "log_loss": round(float(-np.log(np.maximum(at_gold, 1e-12)).mean()), 4),
    }


if __name__ == "__main__":
    main()
