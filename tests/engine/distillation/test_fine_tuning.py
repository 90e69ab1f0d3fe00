"""An encoder is fine-tuned on soft labels, and its folder is one of transformers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.session import connect
from engine.distillation.checkpoints import Checkpoints
from engine.distillation.end_model import EndModel
from engine.distillation.groups import Alone
from engine.distillation.heads import do
from engine.distillation.job import Job
from engine.distillation.loop import Progress
from engine.distillation.network_spec import WEIGHT_DECAY, NetworkJob, NetworkSpec, NetworkTrained
from engine.distillation.outcome import Distillation
from engine.distillation.rows import check_max_tokens, feature_spec, read_rows
from engine.distillation.train import distill
from engine.errors import ConfigError
from engine.task_end_model import EndModelSpec
from operators.features import FeatureSpec, Featurizer
from operators.fine_tuned import TokenClassifier, save
from operators.storage import Folder
from operators.tokens import padded

pytestmark = pytest.mark.slow

WORDS = {0: ("awful", "boring"), 1: ("great", "lovely")}
OTHER = ("the", "film", "was", "plot")
KNOWN = (*WORDS[0], *WORDS[1], *OTHER)
TEXTS = ["great lovely film the plot was", "awful boring plot the", "lovely", "boring was the film"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, make_encoder: Callable[..., Path]) -> Path:
    """Write a small BERT; from weights of some size, or it needs many steps to find any."""
    return make_encoder(tmp_path_factory.mktemp("encoder"), KNOWN, spread=0.2)


def token_files(encoder: Path, folder: Path, *, num_rows: int = 320) -> list[Path]:
    """Write two feature files of tokens, with soft labels that are wrong for one row in ten."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, num_rows)
    texts = [" ".join([*rng.choice(WORDS[int(c)], 2), *rng.choice(OTHER, rng.integers(1, 9))]) for c in classes]
    tokens = Featurizer(FeatureSpec(kind="tokens", encoder=str(encoder), max_tokens=16)).transform(texts)
    told = np.where(rng.random(num_rows) < 0.1, 1 - classes, classes)
    files = []
    for i, part in enumerate(np.array_split(np.arange(num_rows), 2)):
        block = tokens[part]
        spans = [slice(a, b) for a, b in zip(block.indptr, block.indptr[1:], strict=False)]
        table = pa.table(
            {
                "indices": pa.array([block.indices[s] for s in spans], pa.list_(pa.int32())),
                "values": pa.array([block.data[s] for s in spans], pa.list_(pa.float32())),
                "soft_label": pa.array(np.where(told[part, None] == [0, 1], 0.9, 0.1).tolist(), pa.list_(pa.float32())),
                "fold": pa.array(np.arange(len(part)) % 4, pa.uint8()),
            }
        )
        files.append(folder / f"{i}.parquet")
        pq.write_table(table, files[-1])
    return files


def tuned(encoder: Path, files: list[Path], out: Path, **options: Any) -> Distillation:
    """Fine-tune with settings for a tiny encoder."""
    given = {"head": "fine_tune", "features": "encoder", "encoder": str(encoder), "max_tokens": 16, "epochs": 10}
    spec = EndModelSpec(**given | {"learning_rate": 3e-3, "batch_size": 16} | options)
    return distill(files, spec=spec, class_names=("bad", "good"), seed=1, out=out, facts={"task": "films"})


def untrained(encoder: Path, folder: Path) -> EndModel:
    """Save and load a model whose layer for the classes is as it starts, with a temperature that is felt."""
    classifier = TokenClassifier(str(encoder), class_names=("bad", "good"))
    folder.mkdir()
    save(
        folder,
        {name: value.numpy() for name, value in classifier.state_dict().items()},
        features=FeatureSpec(kind="tokens", encoder=str(encoder), max_tokens=16),
        class_names=("bad", "good"),
        temperature=0.3,
        extra={},
    )
    return EndModel.load(folder)


def test_the_folder_is_one_of_transformers(encoder: Path, tmp_path: Path) -> None:
    """It predicts what words say, and AutoModel gives the same scores, with the names of the classes."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    done = tuned(encoder, token_files(encoder, tmp_path), tmp_path / "model")
    found = EndModel.load(tmp_path / "model").predict_proba([*TEXTS, None])
    assert found[:4].argmax(axis=1).tolist() == [1, 0, 1, 0]
    assert (done.head, done.num_heldout) == ("fine_tune", 80)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert model.config.id2label == {0: "bad", 1: "good"}
    with torch.inference_mode():
        logits = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    assert np.allclose(found[:4], torch.softmax(logits / done.temperature, 1).numpy(), atol=1e-5)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["alchemist"]["kind"], config["alchemist"]["training"]["num_rows"]) == ("fine_tune", 320)


def test_its_onnx_graph_takes_tokens_of_any_number(encoder: Path, tmp_path: Path) -> None:
    """From one text or many, short or cut, ONNX Runtime gives our calibrated probabilities; its tokenizer is beside."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from transformers import AutoTokenizer

    model, path = untrained(encoder, tmp_path / "model"), tmp_path / "served" / "model.onnx"
    model.to_onnx(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for texts in (TEXTS[2:3], TEXTS, [*TEXTS, None, "film " * 40]):
        (found,) = session.run(None, model.onnx_inputs(texts))
        assert np.allclose(found, model.predict_proba(texts), atol=1e-5)
    tokens = AutoTokenizer.from_pretrained(path.parent)(TEXTS, padding=True, return_tensors="np")
    (found,) = session.run(None, {name: tokens[name] for name in ("input_ids", "attention_mask")})
    assert np.allclose(found, model.predict_proba(TEXTS), atol=1e-5)
    assert json.loads(session.get_modelmeta().custom_metadata_map["class_names"]) == ["bad", "good"]


def test_its_onnx_graph_never_spoils_a_folder(encoder: Path, tmp_path: Path) -> None:
    """Beside its own model it changes no file of it; beside another tokenizer it is not written."""
    pytest.importorskip("onnxruntime")
    model = untrained(encoder, tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    model.to_onnx(tmp_path / "model" / "model.onnx")
    after = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    assert after.pop("model.onnx")
    assert after == before
    (tmp_path / "other").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (tmp_path / "model" / name).read_text()
        (tmp_path / "other" / name).write_text(text.replace("lovely", "ugly"))
    with pytest.raises(ConfigError, match=r"tokenizer.json: is of another tokenizer"):
        model.to_onnx(tmp_path / "other" / "model.onnx")
    assert len(list((tmp_path / "other").iterdir())) == 2


def test_a_killed_training_goes_on_and_ends_the_same(encoder: Path, tmp_path: Path) -> None:
    """Cut off after a pass and started again from what was kept, it takes the passes left and gives the same bits."""

    class KilledError(Exception):
        pass

    network = NetworkSpec(seed=1, hidden=0, encoder=str(encoder), learning_rate=3e-3, batch_size=16, accumulate=1)
    files = token_files(encoder, tmp_path)
    plain = Job(files=tuple(files), num_features=13, num_classes=2, regularization=(0.1,), epochs=3)
    job = NetworkJob.of(plain, network, class_names=("bad", "good"))
    assert job.regularization == (WEIGHT_DECAY,)
    kept = Checkpoints(job, tmp_path / "cut")
    assert kept.load() is None

    def save(progress: Progress) -> None:
        kept.save(progress)
        if len(progress.candidates) == 2:
            raise KilledError

    whole = do(job, files, group=Alone(), progress=None, on_round=lambda _: None)
    with pytest.raises(KilledError):
        do(job, files, group=Alone(), progress=None, on_round=save)
    progress = kept.load()
    assert progress is not None
    again = do(job, files, group=Alone(), progress=progress, on_round=lambda _: None)
    assert isinstance(whole, NetworkTrained)
    assert isinstance(again, NetworkTrained)
    assert again.progress.candidates == whole.progress.candidates
    assert all(np.array_equal(value, again.tensors[name]) for name, value in whole.tensors.items())
    other = replace(job, network=replace(network, seed=2))
    assert Checkpoints(other, tmp_path / "cut").load() is None


def test_tokens_of_texts_pass_through_shards_in_order(encoder: Path, tmp_path: Path) -> None:
    """What is read from feature files is each text's tokens, repeated ones too, in the order of the text."""
    files: list[Folder] = list(token_files(encoder, tmp_path, num_rows=8))
    rows, heldout, _ = read_rows(files, num_features=13, num_classes=2)
    stored = [row for path in files for row in pq.read_table(path).column("indices").to_pylist()]
    ids, mask = padded(rows.features, pad=0)
    found = [row[told > 0].tolist() for row, told in zip(ids, mask, strict=True)]
    assert found == [row for i, row in enumerate(stored) if i % 4]
    assert heldout.num_rows == 2
    assert all(row[0] == 2 and row[-1] == 3 for row in found)


@pytest.mark.parametrize(("kind", "positions"), [("Bert", 20), ("Roberta", 21)])
def test_a_text_is_cut_where_the_encoder_ends(
    tmp_path: Path, make_encoder: Callable[..., Path], kind: str, positions: int
) -> None:
    """The default is brought to what an encoder takes, of which RoBERTa counts some for itself; more is refused."""
    encoder = str(make_encoder(tmp_path / "encoder", KNOWN, kind=kind, max_position_embeddings=positions))
    told: dict[str, Any] = {"head": "fine_tune", "features": "encoder", "encoder": encoder}
    check_max_tokens(EndModelSpec(**told, max_tokens=20))
    with pytest.raises(ConfigError, match="`end_model.max_tokens` is 21, .* takes 20 at most: set it to 20"):
        check_max_tokens(EndModelSpec(**told, max_tokens=21))
    check_max_tokens(EndModelSpec(**told))
    featurizer = Featurizer(feature_spec(EndModelSpec(**told)))
    tokens = featurizer.transform(["film " * 100])
    assert (tokens.nnz, featurizer.spec.max_tokens) == (20, 20)
    assert np.isfinite(TokenClassifier(encoder, class_names=["bad", "good"]).scores(tokens)).all()


@pytest.mark.long
@pytest.mark.ray
def test_parts_of_a_step_on_two_workers_add_up_to_it(tmp_path: Path, make_encoder: Callable[..., Path]) -> None:
    """Where nothing is dropped, a step in two parts of each worker is the step at once, up to rounding."""
    encoder = make_encoder(
        tmp_path / "encoder", KNOWN, spread=0.2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    files = token_files(encoder, tmp_path)
    found = []
    with connect(num_cpus=2):
        for accumulate in (1, 2):
            out = tmp_path / str(accumulate)
            done = tuned(encoder, files, out, epochs=3, num_workers=2, accumulate=accumulate)
            assert (done.trainer, done.num_workers, done.num_rows) == ("ray", 2, 320)
            found.append(EndModel.load(out).predict_proba(TEXTS))
    assert found[0].argmax(axis=1).tolist() == [1, 0, 1, 0]
    assert not np.array_equal(found[0], found[1]), "the parts were not computed apart"
    assert np.allclose(found[0], found[1], atol=1e-4)


def test_a_missing_encoder_is_named() -> None:
    """`head: fine_tune` without an encoder says what to add."""
    with pytest.raises(ValueError, match="features: encoder"):
        EndModelSpec(head="fine_tune")
