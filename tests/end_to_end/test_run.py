"""The main job on a small corpus, through the command line as a user types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cluster.session import connect
from engine import pipeline, read_task

pytestmark = [pytest.mark.slow, pytest.mark.ray]

ALCHEMIST = str(Path(sys.executable).with_name("alchemist"))


def alchemist(*arguments: str | Path, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit code."""
    done = subprocess.run(
        [ALCHEMIST, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def content_of(run: Path, *folders: str) -> dict[str, bytes]:
    """Return the bytes of the files in some folders of a run, by name."""
    files = [path for folder in folders for path in sorted((run / folder).rglob("*")) if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


RESULTS = ("rows", "votes", "faults", "counts", "labels", "model", "predictions")


def test_labels_a_corpus_from_start_to_report(project: Callable[..., Path]):
    """Every row gets one soft label, the report holds its documented keys, and a second run computes nothing."""
    task = project()
    done = alchemist("run", task, "--out", "run", folder=task.parent)
    run = task.parent / "run"
    assert "report.html" in done.stdout
    labels = pq.read_table(run / "labels").to_pandas()
    assert len(labels) == 400
    assert labels["id"].is_unique
    np.testing.assert_allclose(np.stack(labels["soft_label"]).sum(axis=1), 1.0, rtol=0, atol=1e-12)
    assert set(labels["reason"]) <= {"labeled", "tie", "uncovered"}
    assert (labels["label"][labels["reason"] != "labeled"] == -1).all()
    assert len(pq.read_table(run / "predictions")) == 400

    report = json.loads((run / "report.json").read_text())
    assert report["rows"] == 400
    assert 0.5 < report["coverage"] < 1
    for method in ("majority_vote", "label_model", "end_model"):
        for figure in ("accuracy", "accuracy_covered", "f1"):
            assert 0.7 < report["metrics"][method][figure] <= 1, (method, figure)
    assert report["faults"] == {name: {} for name in ("links", "offers", "praise", "words")}
    for stage in ("index", "apply", "fit", "label", "distill", "predict", "evaluate"):
        assert report["stages"][stage]["seconds"] > 0
    assert set(report["money"]) >= {"spent", "tokens_in", "tokens_out", "direct_labeling_estimate", "currency"}
    # Whether characters help was tried, and what the trial wrote is gone.
    assert "held-out loss" in json.loads((run / "model" / "config.json").read_text())["facts"]["characters"]
    assert len(list((run / "features").iterdir())) == len(list((run / "labels").iterdir()))
    html = (run / "report.html").read_text()
    assert "<script src" not in html
    assert 'href="http' not in html

    card = (run / "model" / "README.md").read_text().splitlines()
    for program in report["programs"]:
        start = f"| {program['name']} | {program['digest'][:16]} | {program['coverage']:.4f} |"
        assert any(line.startswith(start) for line in card), start
    assert f"| coverage | {report['coverage']:.4f} of the rows have a vote |" in card
    assert f"| rows | 400, of which {report['rows_test']} are test rows that nothing learns from |" in card
    assert "| corpus | comments.csv |" in card
    ways = [report["metrics"][way] for way in ("label_model", "end_model")]
    for name, key in (("accuracy", "accuracy"), ("F1", "f1"), ("log loss", "log_loss")):
        assert f"| {name} | {ways[0][key]:.4f} | {ways[1][key]:.4f} |" in card

    before = content_of(run, *RESULTS)
    again = alchemist("run", task, "--out", "run", "--json", folder=task.parent)
    outcome = json.loads(again.stdout)
    assert set(outcome["statuses"].values()) == {"reused"}
    assert content_of(run, *RESULTS) == before
    # The card is no part of the model: it is written anew where it is gone, and nothing else is.
    (run / "model" / "README.md").unlink()
    assert "nothing was computed" in alchemist("run", task, "--out", "run", folder=task.parent).stdout
    assert content_of(run, *RESULTS) == before


def test_editing_a_program_computes_its_column_alone(project: Callable[..., Path]):
    """After one program of four is edited the other columns stand as they were; the labels are those of a new run."""
    task = project()
    alchemist("label", task, "--out", "run", folder=task.parent)
    run = task.parent / "run"
    before = content_of(run, "votes")
    edited = "def label_function(text):\n    return 1 if 'http' in text or 'offer' in text else -1\n"
    (task.parent / "programs" / "links.py").write_text(edited)
    alchemist("label", task, "--out", "run", folder=task.parent)
    after = content_of(run, "votes")
    assert before.items() <= after.items()
    new = [name for name in after if name not in before and name.endswith(".parquet")]
    assert new
    assert {pq.read_schema(run / name).names.__len__() for name in new} == {1}
    alchemist("label", task, "--out", "fresh", folder=task.parent)
    assert content_of(run, "labels") == content_of(task.parent / "fresh", "labels")


def test_a_killed_run_goes_on_to_the_same_bytes(project: Callable[..., Path]):
    """After kill -9 of the driver, the next run gives the same files as a run that nobody disturbed."""
    slow = "def label_function(text):\n    sum(range(60000))\n    return 1 if 'http' in text else -1\n"
    from_conftest = {"slow": slow, "nice": "def label_function(text):\n    return 0 if 'nice' in text else -1\n"}
    extra = "def label_function(text):\n    return 0 if 'love' in text else 1 if 'free' in text else -1\n"
    task = project(num_rows=2000, programs=from_conftest | {"love": extra})
    alchemist("label", task, "--out", "calm", folder=task.parent)
    process = subprocess.Popen(
        [ALCHEMIST, "label", str(task), "--out", "killed"], cwd=task.parent, stderr=subprocess.DEVNULL
    )
    votes = task.parent / "killed" / "votes"
    deadline = time.monotonic() + 120
    while len(list(votes.glob("*.parquet"))) < 3 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 3 <= len(list(votes.glob("*.parquet"))) < 20, "the kill came too early or too late to test anything"
    alchemist("label", task, "--out", "killed", folder=task.parent)
    names = ("rows", "votes", "faults", "counts", "labels")
    assert content_of(task.parent / "killed", *names) == content_of(task.parent / "calm", *names)


INTERRUPTING = """
import os, signal, sys
from engine.cli import main, progress
stage, begin = sys.argv.pop(), progress.Bars.begin
def interrupting(self, name, total, **known):
    begin(self, name, total, **known)
    if name == stage:
        os.kill(os.getpid(), signal.SIGINT)
progress.Bars.begin = interrupting
main.main()
"""


@pytest.mark.long
def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(project: Callable[..., Path]):
    """An interrupt in any stage ends the command with 130 and a word on how to go on; what was done stays done."""
    task = project()
    finished: set[str] = set()
    for stage in ("index", "apply", "label", "distill", "predict", "evaluate"):
        arguments = ["run", "task.yaml", "--out", "run", stage]
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTING, *arguments],
            cwd=task.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 130, done.stderr
        assert "goes on from here" in done.stderr
        assert "Traceback" not in done.stderr
        stages = set(json.loads((task.parent / "run" / "run.json").read_text())["stages"])
        assert stages >= finished
        assert stage not in stages
        finished = stages
    outcome = json.loads(alchemist("run", task, "--out", "run", "--json", folder=task.parent).stdout)
    assert outcome["report"]["rows"] == 400
    assert outcome["statuses"]["predict"] == "reused"
    assert outcome["statuses"]["evaluate"] == "computed"


def test_rows_in_memory_are_labeled_like_rows_in_files(project: Callable[..., Path]):
    """A pandas frame gives the labels of the same rows in a file, and the same frame again computes nothing."""
    task_file = project(num_rows=150)
    frame = pd.read_csv(task_file.parent / "comments.csv")
    frame.to_parquet(task_file.parent / "comments.parquet")
    task = read_task(task_file)
    with connect():
        from_frame = pipeline.run(task, out=task_file.parent / "frame", data=frame, until="label")
        source = (str(task_file.parent / "comments.parquet"),)
        same = task.model_copy(update={"data": task.data.model_copy(update={"source": source})})
        from_file = pipeline.run(same, out=task_file.parent / "file", until="label")
        again = pipeline.run(task, out=task_file.parent / "frame", data=frame, until="label")
    assert set(again.statuses.values()) == {"reused"}
    by_row = []
    for result in (from_frame, from_file):
        labels = result.labels()
        assert len(labels) == 150
        labels.index = labels["id"].str.rpartition(":")[2].astype(int)
        by_row.append(labels.sort_index()[["label", "confidence", "reason", "is_test"]])
    pd.testing.assert_frame_equal(*by_row, check_index_type=False)
