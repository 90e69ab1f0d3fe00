"""Twenty-four answers of a small model, each classified with the right reason.

`status.csv` tells what each did in plain Python, where modules that are not allowed here could be imported: such a
program is rejected by the screen whatever it would have done.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import ProgramRejected
from engine.synthesis.programs import from_completion
from engine.synthesis.trial import says_nothing
from operators.admission import Terms, observe
from operators.sandbox.pool import Limits

SHARED = Path(__file__).resolve().parents[3] / "../shared"
FOLDER = SHARED / "llm_programs" / "qwen2.5-coder-1.5b"
ROWS = 2000
TEXTS = {
    "youtube": ("wrench_youtube", 2),
    "sms": ("sms_uci_raw", 2),
    "imdb": ("cosine_imdb", 2),
    "yelp": ("cosine_yelp", 2),
    "medabs": ("medical_abstracts_test", 5),
    "french": ("french_book_reviews", 3),
}

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no recorded answers in {FOLDER}")]


def verdict(name: str, answer: str, texts: pa.Array, num_classes: int) -> tuple[str, str, float]:
    """Screen and try one answer: what became of it, why, and its coverage."""
    try:
        program = from_completion(name, answer)
    except ProgramRejected as error:
        reason = "; ".join(error.reasons)
        return ("module" if "import of" in reason else "syntax" if "valid Python" in reason else "other"), reason, 0.0
    (seen,) = observe([program.source], texts, num_classes=num_classes, limits=Limits(), max_row_s=0.02)
    terms = Terms(max_row_s=0.02, max_error_fraction=0.1, max_abstain_fraction=1.0)
    problems = [*filter(None, [seen.load_error]), *terms.problems(seen.trial)]
    coverage = 1 - seen.trial.abstain_fraction
    if problems:
        return "trial", "; ".join(problems), coverage
    empty = says_nothing(seen.votes, [str(y) for y in range(num_classes)])
    return ("usable" if empty is None else "silent" if coverage == 0 else "constant"), empty or "", coverage


def test_every_answer_is_classified_as_it_behaved_in_plain_python() -> None:
    """What ran is usable unless it says nothing, with the coverage measured outside; what failed names why."""
    status = {
        row["prog"].removesuffix(".py"): row for row in csv.DictReader((FOLDER / "status.csv").read_text().splitlines())
    }
    found: dict[str, str] = {}
    for line in (FOLDER / "responses.jsonl").read_text().splitlines():
        record = json.loads(line)
        name, (stem, num_classes) = f"{record['task']}_{record['i']:02d}", TEXTS[record["task"]]
        table = pq.read_table(SHARED / "data" / "text" / f"{stem}.parquet", columns=["text"])
        texts = table.column("text").drop_null().combine_chunks().cast(pa.large_string()).slice(0, ROWS)
        kind, reason, coverage = verdict(name, record["response"], texts, num_classes)
        found[name], plain = kind, status[name]
        source = (FOLDER / f"{name}.py").read_text()
        if kind == "module":
            assert "nltk" in source or "sklearn" in source, (name, reason)
        elif kind == "syntax":
            assert plain["status"].startswith("load SyntaxError"), (name, reason)
            assert "unterminated string literal" in reason
        else:
            assert kind in ("usable", "silent", "constant"), (name, reason)
            assert plain["status"] == "ok", (name, reason)
            # Other rows were drawn there, so shares are not the same to the last digit.
            assert coverage == pytest.approx(float(plain["coverage"]), abs=0.25), name
    assert len(found) == len(status) == 24
    # Nothing that failed in plain Python is taken in.
    assert all(found[n] in ("module", "syntax") for n, row in status.items() if row["status"] != "ok")
    assert {n for n, kind in found.items() if kind == "silent"} == {"imdb_00"}
    assert found["imdb_02"] == "constant"
    assert found["french_01"] == "module"
    assert sum(kind == "usable" for kind in found.values()) == 15
