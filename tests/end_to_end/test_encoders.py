"""Encoders through the command line: frozen, with embeddings that are kept, and fine-tuned."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cluster.session import connect
from engine.pipeline import predict_corpus
from operators.end_model import LinearModel
from operators.features import FeatureSpec

pytestmark = [pytest.mark.slow, pytest.mark.ray]

ALCHEMIST = str(Path(sys.executable).with_name("alchemist"))
WORDS = ("http", "free", "win", "CLICK", "offer", "love", "song", "nice", "voice", "the", "video", "people")
TASK = """\
name: comments
data: {{source: comments.csv}}
columns: {{text: body, gold: label}}
classes:
  - {{name: ham}}
  - {{name: spam}}
instruction: Label a comment as ham or spam.
programs: {{folder: programs}}
shards: {{max_rows: 100}}
end_model: {{{end_model}}}
"""


def alchemist(*arguments: str | Path, folder: Path, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run the command with --json; returns what it says."""
    done = subprocess.run(
        [ALCHEMIST, *map(str, arguments), "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def written(folder: Path) -> dict[str, int]:
    """Return when each file in a folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.iterdir())}


def probabilities(folder: Path) -> npt.NDArray[np.float64]:
    """Read predictions; (n, k), by the number of the row."""
    table = pd.concat(pq.read_table(path).to_pandas() for path in (folder / "predictions").iterdir())
    rows = table["id"].str.rpartition(":")[2].astype(int)
    return np.stack(table["probabilities"].iloc[np.argsort(rows)])


@pytest.mark.long
def test_a_frozen_encoder_reads_each_text_once(project: Callable[..., Path], make_encoder: Callable[..., Path]):
    """Predictions elsewhere equal those of the run, and an edited program costs no pass: the encoder is gone by then.

    The encoder has a name on the hub, whose cache here is its only source.
    """
    task = project(num_rows=300, task=TASK.format(end_model="features: encoder, encoder: someone/bert"))
    folder, run = task.parent, task.parent / "run"
    hub = folder / "hub" / "models--someone--bert"
    make_encoder(hub / "snapshots" / ("0" * 40), WORDS, spread=0.2)
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text("0" * 40)
    env = {"HF_HUB_CACHE": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
    alchemist("run", task, "--out", "run", folder=folder, env=env)
    embedded = written(run / "embeddings")
    assert len(embedded) == 3
    again = alchemist("run", task, "--out", "run", folder=folder, env=env)
    assert set(again["statuses"].values()) == {"reused"}

    alchemist("predict", "run/model", "comments.csv", "--text", "body", "--out", "out", folder=folder, env=env)
    assert len(probabilities(run)) == 300
    # Texts stand in other batches there, and a number may be rounded to its neighbour in half precision.
    np.testing.assert_allclose(probabilities(folder / "out"), probabilities(run), rtol=0, atol=2e-3)
    assert probabilities(run).std(axis=0).min() > 0.05, "texts are told apart"

    shutil.rmtree(hub)
    before = probabilities(run)
    (folder / "programs" / "links.py").write_text("def label_function(text):\n    return 1 if 'http' in text else 0\n")
    edited = alchemist("run", task, "--out", "run", folder=folder, env=env)
    assert (edited["statuses"]["distill"], edited["statuses"]["predict"]) == ("computed", "computed")
    assert written(run / "embeddings") == embedded
    assert np.abs(probabilities(run) - before).max() > 0.01


@pytest.mark.long
def test_a_fine_tuned_encoder_is_known_by_its_weights(project: Callable[..., Path], make_encoder: Callable[..., Path]):
    """Predictions elsewhere equal those of the run, and other weights in the same folder are trained from anew."""
    tuned = "head: fine_tune, features: encoder, encoder: bert, max_tokens: 16, epochs: 2, learning_rate: 0.003"
    task = project(num_rows=300, task=TASK.format(end_model=tuned))
    folder, run = task.parent, task.parent / "run"
    make_encoder(folder / "bert", WORDS, spread=0.2)
    alchemist("run", task, "--out", "run", folder=folder)
    assert not (run / "embeddings").exists()
    alchemist("predict", "run/model", "comments.csv", "--text", "body", "--out", "out", folder=folder)
    assert len(probabilities(run)) == 300
    np.testing.assert_allclose(probabilities(folder / "out"), probabilities(run), rtol=0, atol=1e-4)
    again = alchemist("run", task, "--out", "run", folder=folder)
    assert set(again["statuses"].values()) == {"reused"}

    make_encoder(folder / "bert", WORDS, spread=0.2, seed=1)
    other = alchemist("run", task, "--out", "run", folder=folder)
    assert other["statuses"]["label"] == "reused"
    assert "the files of `end_model.encoder` changed" in other["reasons"]["distill"]
    assert other["statuses"]["predict"] == "computed"


@pytest.mark.long
def test_predicting_texts_goes_on_where_it_was_cut_off(tmp_path: Path, make_encoder: Callable[..., Path]):
    """A shard of three that is gone is predicted alone, to the same bytes; with another encoder all are."""
    encoder = make_encoder(tmp_path / "bert", WORDS, spread=0.2)
    model, data, out = tmp_path / "model", tmp_path / "rows.parquet", tmp_path / "out"
    model.mkdir()
    weight = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    LinearModel(
        features=FeatureSpec(kind="encoder", encoder=str(encoder)),
        class_names=("ham", "spam"),
        weight=weight,
        bias=np.zeros(2, np.float32),
        scales=np.ones(16, np.float32),
    ).save(model)
    pd.DataFrame({"text": ["love song", "free offer", "video"] * 11_000}).to_parquet(data)
    with connect():
        first = predict_corpus(model, [str(data)], out=out)
        assert (first["rows"], first["shards"], first["reused"]) == (33_000, 3, 0)
        whole = {path.name: path.read_bytes() for path in (out / "predictions").iterdir()}
        gone = min(whole)
        (out / "predictions" / gone).unlink()
        again = predict_corpus(model, [str(data)], out=out)
        assert again["reused"] == 2
        assert {path.name: path.read_bytes() for path in (out / "predictions").iterdir()} == whole
        make_encoder(encoder, WORDS, spread=0.2, seed=1)
        other = predict_corpus(model, [str(data)], out=out)
    assert other["reused"] == 0
    assert not whole.keys() & written(out / "predictions").keys()
