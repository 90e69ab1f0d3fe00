"""The annotator: rows labeled directly, within the budget, paid once, and told in labels and report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cluster.session import connect
from engine import pipeline, read_task
from engine.errors import BudgetReached, LLMRefused

pytestmark = [pytest.mark.slow, pytest.mark.ray]

SPAM = ("http://x.example", "free", "win", "CLICK", "subscribe", "offer")
CUE = "def label_function(text):\n    return 1 if 'http' in text else 0 if 'love' in text else -1\n"
MORE = "def label_function(text):\n    return 1 if 'win' in text else 0 if 'song' in text else -1\n"


@pytest.fixture(autouse=True, scope="module")
def ray_once() -> Iterator[None]:
    with connect(num_cpus=2):
        yield


def row_of(asked: dict[str, Any]) -> str:
    return asked["messages"][-1]["content"].split("==========\n")[1]


def oracle(server: Any) -> Callable[[dict[str, Any]], Any]:
    """A model that knows the planted cues; 12 tokens a request."""

    def reply(asked: dict[str, Any]) -> Any:
        label = int(any(word in row_of(asked) for word in SPAM))
        return server.answer(str(label), usage={"prompt_tokens": 100, "completion_tokens": 2})

    return reply


def make(project: Callable[..., Path], server: Any, *, budget: dict[str, Any] | None = None, **annotate: Any) -> Path:
    path = project(num_rows=300, programs={"cue": CUE, "more": MORE})
    task = yaml.safe_load(path.read_text())
    task["language_model"] = server.spec(max_concurrency=8, max_retries=0).model_dump(mode="json")
    task["annotate"] = annotate
    task["budget"] = budget or {}
    path.write_text(yaml.safe_dump(task))
    return path


def labels_of(run: Path) -> pd.DataFrame:
    return pd.concat(pd.read_parquet(path) for path in sorted((run / "labels").iterdir()))


def test_the_rest_is_labeled_told_and_paid_once(project: Callable[..., Path], server: Any, tmp_path: Path) -> None:
    """Uncovered rows take the model's label and are distilled from; a second run sends nothing."""
    server.reply = oracle(server)
    task = make(project, server, label_rest=True, max_rows=1000, baseline_rows=20)
    result = pipeline.run(read_task(task), out=tmp_path / "run")
    labels = labels_of(tmp_path / "run")
    assert set(labels["reason"]) <= {"labeled", "tie", "llm"}
    mine = labels[labels["reason"] == "llm"]
    assert {tuple(soft) for soft in mine["soft_label"]} == {(0.0, 1.0), (1.0, 0.0)}
    assert result.report is not None
    told = result.report.annotator
    assert told is not None
    assert told.labeled == told.changed == told.rest_rows == len(mine)
    assert (told.baseline_rows, told.faults) == (20, {})
    assert told.requests == len(server.requests)
    assert told.spent == pytest.approx(len(server.requests) * (100 * 1.0 + 2 * 2.0) / 1e6)
    assert told.baseline is not None
    assert told.baseline.rows == 20
    accuracy = told.baseline.accuracy
    assert set(accuracy) == {"majority_vote", "label_model", "end_model", "annotator"}
    assert accuracy["annotator"] > accuracy["label_model"]
    assert sum(result.report.label_distribution.values()) == (labels["label"] >= 0).sum()
    assert result.report.end_model is not None
    sent = len(server.requests)
    again = pipeline.run(read_task(task), out=tmp_path / "run")
    assert set(again.statuses.values()) == {"reused"}
    assert len(server.requests) == sent
    # Gold is in the data and in none of the requests.
    assert not any(re.search(r"\b(ham|spam)\b", row_of(asked)) for asked in server.requests)
    assert server.KEY not in everything(tmp_path)


def test_uncovered_rows_come_first_and_no_more_than_allowed(
    project: Callable[..., Path], server: Any, tmp_path: Path
) -> None:
    """Ten rows of all shards, uncovered ones; the answers that are no label change nothing and are counted."""
    plain = oracle(server)
    server.reply = lambda asked: server.answer("It is 1.") if len(row_of(asked)) % 2 else plain(asked)
    task = make(project, server, label_rest=True, below_confidence=1.0, max_rows=10)
    result = pipeline.run(read_task(task), out=tmp_path / "run", until="label")
    labels = labels_of(tmp_path / "run")
    # Far more than ten rows have no vote, so no other was asked about.
    assert (labels.loc[labels["reason"] == "llm", "majority_label"] == -1).all()
    asked = json.loads((result.run / "run.json").read_text())["stages"]["annotate"]["result"]
    assert (asked["rows"], asked["requests"]) == (10, 10)
    assert (labels["reason"] == "llm").sum() == 10 - asked["faults"].get("unreadable", 0)
    assert any("gave no label" in warning for warning in result.warnings) == bool(asked["faults"])


def test_a_budget_that_ends_stops_and_goes_on(project: Callable[..., Path], server: Any, tmp_path: Path) -> None:
    """What was answered is kept; with a larger budget the rest alone is asked, and no row is paid twice."""
    server.reply = oracle(server)
    task = make(project, server, label_rest=True, max_rows=60, budget={"tokens": 4000})
    with pytest.raises(BudgetReached):
        pipeline.run(read_task(task), out=tmp_path / "run", until="label")
    first = len(server.requests)
    assert 10 < first < 60
    task.write_text(task.read_text().replace("tokens: 4000", "tokens: 400000"))
    pipeline.run(read_task(task), out=tmp_path / "run", until="label")
    assert len(server.requests) == 60 == len({row_of(asked) for asked in server.requests})


def test_an_endpoint_that_refuses_every_row_is_an_error_and_shows_no_key(
    project: Callable[..., Path], server: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Then it is not the rows; and neither the error, the log nor the run directory holds the key."""
    server.script = [server.error(400, f"bad request with {server.KEY}")]
    task = make(project, server, baseline_rows=5)
    with caplog.at_level("DEBUG"), pytest.raises(LLMRefused) as caught:
        pipeline.run(read_task(task), out=tmp_path / "run", until="label")
    assert server.KEY not in str(caught.value)
    assert server.KEY not in caplog.text
    assert server.KEY not in everything(tmp_path)


def everything(folder: Path) -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())
