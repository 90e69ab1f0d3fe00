"""Encoders get GPUs where there are any, else the cores of the machine, and what is embedded is not embedded again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cluster.session import Session
from engine.distillation.rows import feature_spec
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.distill import Distilled, predict
from engine.stages.stream import Silent
from engine.stages.text_embeddings import embed_texts, embeddings_digest, keep_embeddings
from engine.store import RunDirectory
from engine.task import LabelingTask
from operators.corpus.plan import plan_shards
from operators.embed_texts import EmbedTexts
from operators.end_model import FORMAT, NESTED
from operators.predict import PredictShard
from operators.rows import RowCounts


@dataclass(kw_only=True)
class Recorder(Context):
    """Runs nothing and keeps what it was asked to run."""

    machine: Session
    asked: list[dict[str, Any]] = field(default_factory=list)

    def session(self) -> Session:
        return self.machine

    def stream(self, stage: str, items: Sequence[str], step: type, **how: Any) -> Iterator[bytes]:
        self.asked.append({"stage": stage, "keys": [json.loads(item)["key"] for item in items], "step": step, **how})
        return iter(())


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """Make a run over three shards on a machine of eight cores."""
    for name in "abc":
        pd.DataFrame({"text": ["x"] * 400}).to_csv(tmp_path / f"{name}.csv", index=False)
    task = LabelingTask.model_validate(
        {
            "name": "t",
            "data": {"source": str(tmp_path / "*.csv")},
            "classes": [{"name": "ham"}, {"name": "spam"}],
            "instruction": "Label it.",
            "end_model": {"features": "encoder", "encoder": "someone/bert"},
        }
    )
    machine = Session(num_cpus=8, num_nodes=1, node_memory_bytes=(8 << 30,), local=True)
    with RunDirectory(tmp_path / "run") as run, ExitStack() as stack:
        run.shards = run.path
        yield Recorder(task=task, run=run, address=None, watch=Silent(), stack=stack, machine=machine)


def corpus_of(ctx: Recorder) -> Corpus:
    shards = plan_shards(ctx.task.data.source, max_rows=400, max_bytes=1 << 20, columns=["text"])
    return Corpus(shards=tuple(shards), rows="r", counts=RowCounts())


@pytest.mark.parametrize(("gpus", "threads"), [(0, 8), (2, 1)])
def test_what_is_not_embedded_is_embedded_with_all_there_is(recorder: Recorder, gpus: int, threads: int) -> None:
    """Shards whose file is there are left out; one actor has all cores, or one thread beside a GPU."""
    recorder.machine = Session(num_cpus=8, num_nodes=1, node_memory_bytes=(8 << 30,), local=True, num_gpus=gpus)
    corpus = corpus_of(recorder)
    first, *others = corpus.keys
    assert len(others) == 2
    folder = recorder.run.path / "embeddings"
    folder.mkdir()
    (folder / f"{first}-d.parquet").touch()
    (folder / f"{first}-earlier.parquet").touch()
    embed_texts(recorder, corpus.shards, stage="distill", digest="d")
    (asked,) = recorder.asked
    assert (asked["step"], asked["keys"]) == (EmbedTexts, others)
    assert (asked["gpus"], asked["stateful"], asked["step_args"]["threads"]) == (True, True, threads)
    # 400 rows of two seconds each, at the slowest.
    assert asked["slowest_item_s"] == 800
    keep_embeddings(recorder, corpus.shards, digest="d")
    assert [path.name for path in folder.iterdir()] == [f"{first}-d.parquet"]
    keep_embeddings(recorder, corpus.shards, digest=None)
    assert not list(folder.iterdir())


def test_a_fine_tuned_encoder_predicts_on_gpus_and_a_frozen_one_not_again(recorder: Recorder) -> None:
    """Where embeddings are kept, predicting takes neither a GPU nor an actor, but what lacks is embedded first."""
    corpus, model = corpus_of(recorder), recorder.run.path / "model"
    model.mkdir()
    (model / "model.safetensors").touch()
    (model / "config.json").write_text(json.dumps({"format": FORMAT, "kind": "linear"}))
    predict(recorder, corpus, Distilled(folder=model, digest="m", embeddings="e", facts={}))
    embedding, predicting = recorder.asked
    assert (embedding["step"], embedding["stage"], len(embedding["keys"])) == (EmbedTexts, "predict", 3)
    assert (predicting["step"], predicting["step_args"]["embeddings"]) == (PredictShard, "e")
    assert (predicting["gpus"], predicting["stateful"], predicting["step_args"]["threads"]) == (False, False, 1)

    (model / "config.json").write_text(json.dumps({NESTED: {"format": FORMAT, "kind": "fine_tune"}}))
    tuned = recorder.task.end_model.model_copy(update={"head": "fine_tune"})
    recorder.task = recorder.task.model_copy(update={"end_model": tuned})
    predict(recorder, corpus, Distilled(folder=model, digest="n", embeddings=None, facts={}))
    (asked,) = recorder.asked[2:]
    assert (asked["gpus"], asked["stateful"], asked["step_args"]["threads"]) == (True, True, 8)
    assert (asked["step_args"]["embeddings"], asked["slowest_item_s"]) == (None, 800)


def test_embeddings_are_of_an_encoder_and_a_column(recorder: Recorder) -> None:
    """Labels, programs, heads and losses are no part of their name."""
    task = recorder.task
    name = embeddings_digest(task, "bert")
    assert embeddings_digest(task, "other") != name
    columns = task.columns.model_copy(update={"text": "body"})
    assert embeddings_digest(task.model_copy(update={"columns": columns}), "bert") != name
    mlp = task.end_model.model_copy(update={"head": "mlp", "epochs": 3})
    assert embeddings_digest(task.model_copy(update={"end_model": mlp, "seed": 5}), "bert") == name
    assert feature_spec(mlp).kind == "encoder"
