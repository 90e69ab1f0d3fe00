"""A table labeled by programs that get its rows as dicts, from the file to the end model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.distillation.end_model import EndModel
from engine.pipeline import predict_corpus, run
from engine.task_file import read_task
from operators.errors import InputError

TASK = """\
name: loans
modality: record
data: {source: loans.parquet}
columns: {fields: {income: "float, euros a month", debts: int, job: str}, gold: label}
classes: [{name: repaid}, {name: defaulted}]
instruction: Will the loan be paid back?
programs: {folder: programs}
shards: {max_rows: 200}
"""

PROGRAMS = {
    "income": "def label_function(row):\n    i = row['income']\n    return -1 if i is None else int(i < 1500)\n",
    "debts": "def label_function(row):\n    return 1 if row['debts'] > 3 else 0 if row['debts'] < 2 else -1\n",
    "job": "def label_function(row):\n    return {'nurse': 0, 'none': 1}.get(row['job'], -1)\n",
}


def probabilities_by_row(folder: Path) -> np.ndarray:
    """Read predictions, in the order of the rows of the one file that they are of; (n, k)."""
    rows = pq.read_table(folder).to_pylist()
    rows.sort(key=lambda row: int(row["id"].rpartition(":")[2]))
    return np.array([row["probabilities"] for row in rows])


@pytest.mark.slow
@pytest.mark.ray
def test_a_table_is_labeled_and_distilled(tmp_path: Path) -> None:
    """Programs vote on typed fields, the end model reads "field: value" lines, and both beat the larger class.

    The model knows how it reads a row: over the table and over dicts it answers as the run did.
    """
    rng = np.random.default_rng(0)
    bad = rng.random(600) < 0.4
    income = np.where(bad, rng.normal(1200, 300, 600), rng.normal(2500, 600, 600)).round()
    income[rng.random(600) < 0.1] = np.nan
    table = pa.table(
        {
            "income": income,
            "debts": np.where(bad, rng.integers(2, 7, 600), rng.integers(0, 4, 600)),
            "job": np.where(rng.random(600) < 0.2, "clerk", np.where(bad, "none", "nurse")),
            "label": np.where(bad, "defaulted", "repaid"),
        }
    )
    pq.write_table(table, tmp_path / "loans.parquet")
    (tmp_path / "programs").mkdir()
    for name, source in PROGRAMS.items():
        (tmp_path / "programs" / f"{name}.py").write_text(source)
    (tmp_path / "task.yaml").write_text(TASK)
    run(read_task(tmp_path / "task.yaml"), out=tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["rows"] == 600
    assert {program["name"] for program in report["programs"]} == set(PROGRAMS)
    assert not any(program["faults"] for program in report["programs"])
    assert report["metrics"]["label_model"]["accuracy"] > 0.85
    assert report["metrics"]["end_model"]["accuracy"] > 0.75
    assert report["samples"]["most_certain"][0]["text"].startswith("income: ")
    own = probabilities_by_row(tmp_path / "run" / "predictions")
    predict_corpus(tmp_path / "run" / "model", [str(tmp_path / "loans.parquet")], out=tmp_path / "again")
    assert np.array_equal(probabilities_by_row(tmp_path / "again" / "predictions"), own)
    dicts = EndModel.load(tmp_path / "run" / "model").predict_proba(table.to_pylist())
    np.testing.assert_allclose(dicts, own, rtol=0, atol=1e-6)
    pq.write_table(table.drop_columns(["job"]), tmp_path / "less.parquet")
    with pytest.raises(InputError, match=r"less.parquet: no column 'job'"):
        predict_corpus(tmp_path / "run" / "model", [str(tmp_path / "less.parquet")], out=tmp_path / "less")


@pytest.mark.slow
@pytest.mark.ray
def test_columns_are_features(tmp_path: Path) -> None:
    """A model of columns learns where a number turns, and reads its columns from another table by itself."""
    rng = np.random.default_rng(0)
    income = rng.uniform(100, 9000, 600).round(2)
    label = np.where(income < 1500, "defaulted", "repaid")
    table = pa.table({"income": income, "debts": rng.integers(0, 9, 600), "job": ["clerk"] * 600, "label": label})
    pq.write_table(table, tmp_path / "loans.parquet")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "income.py").write_text(PROGRAMS["income"])
    (tmp_path / "task.yaml").write_text(TASK + "end_model: {features: columns, num_features_log2: 12}\n")
    run(read_task(tmp_path / "task.yaml"), out=tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["metrics"]["end_model"]["accuracy"] > 0.9
    model = EndModel.load(tmp_path / "run" / "model")
    found = model.predict([{"income": 300.5, "debts": 1, "job": "clerk"}, {"income": 7000.0, "debts": 1, "job": "x"}])
    assert found.tolist() == [1, 0]
    loans, out = str(tmp_path / "loans.parquet"), tmp_path / "predictions"
    assert predict_corpus(tmp_path / "run" / "model", [loans], out=out)["rows"] == 600
    (path,) = (out / "predictions").iterdir()
    labels = np.array(pq.read_table(path).column("label").to_pylist())
    assert (labels == (income < 1500)).mean() > 0.9
