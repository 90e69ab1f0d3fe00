"""Plain torch, as anybody would write it without Ray: what `distillation_throughput` compares with."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from engine.distillation.batches import batches_of
from engine.distillation.network_spec import NetworkSpec
from engine.distillation.rows import Rows
from operators.features import FeatureSpec, Featurizer
from operators.tokens import padded

CORES = 2
CLASSES = ("a", "b")
STEPS = 20
"""Passes of the linear model: all rows are one batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What both sides train and predict.

    Attributes:
        network: of an encoder that is fine-tuned; None for the linear model.
    """

    name: str
    texts: tuple[str, ...]
    features: FeatureSpec
    network: NetworkSpec | None

    def rows(self) -> Rows:
        """Featurize the texts, with drawn soft labels; columns that no text has are left out, as a run does."""
        matrix = Featurizer(self.features).transform(self.texts)
        if self.network is None:
            matrix = matrix[:, np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]))]
        share = np.random.default_rng(0).random((len(self.texts), 1)).astype(np.float32)
        folds = np.ones(len(self.texts), np.uint8)
        return Rows(features=matrix, soft=np.hstack([share, 1 - share]), folds=folds)


def train_plain(work: Work, rows: Rows) -> float:
    """Rows a second that one process with a thread a core learns from, past its first pass."""
    torch.set_num_threads(CORES)
    torch.manual_seed(0)
    return _train_linear(rows) if work.network is None else _fine_tune(work.network, rows)


def _train_linear(rows: Rows) -> float:
    """All rows a pass: the faster of torch's two ways to multiply sparse rows, with torch's L-BFGS."""
    features, labels = rows.features, torch.from_numpy(rows.soft)
    whole = torch.sparse_csr_tensor(features.indptr, features.indices, features.data, features.shape)
    indices = torch.from_numpy(features.indices.astype(np.int64))
    offsets = torch.from_numpy(features.indptr[:-1].astype(np.int64))
    values = torch.from_numpy(features.data)
    ways: list[Callable[[torch.Tensor], torch.Tensor]] = [
        lambda weights: whole @ weights,
        lambda weights: functional.embedding_bag(indices, weights, offsets, mode="sum", per_sample_weights=values),
    ]
    rates = []
    for scores in ways:
        weights = torch.zeros((features.shape[1], len(CLASSES)), requires_grad=True)
        bias = torch.zeros(len(CLASSES), requires_grad=True)
        optimizer = torch.optim.LBFGS([weights, bias], max_iter=STEPS, history_size=10)
        times = [time.perf_counter()]

        def closure(
            weights: torch.Tensor = weights,
            bias: torch.Tensor = bias,
            optimizer: torch.optim.Optimizer = optimizer,
            scores: Callable[[torch.Tensor], torch.Tensor] = scores,
            times: list[float] = times,
        ) -> torch.Tensor:
            optimizer.zero_grad()
            loss = functional.cross_entropy(scores(weights) + bias, labels) + 1e-6 * weights.square().sum() / 2
            loss.backward()  # type: ignore[no-untyped-call]
            times.append(time.perf_counter())
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]
        rates.append(rows.num_rows * (len(times) - 2) / (times[-1] - times[1]))
    return max(rates)


def _fine_tune(spec: NetworkSpec, rows: Rows) -> float:
    model = _classifier(spec).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=spec.learning_rate)
    labels = torch.from_numpy(rows.soft)
    lengths = np.diff(rows.features.indptr)
    seconds = []
    for number in range(2):
        start = time.perf_counter()
        order = np.random.default_rng(number)
        for batch in batches_of(rows.num_rows, size=spec.batch_size, lengths=lengths, rng=order):
            optimizer.zero_grad()
            functional.cross_entropy(_logits(model, rows.features[batch]), labels[batch]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    return rows.num_rows / seconds[-1]


def predict_plain(work: Work) -> float:
    """Rows a second of a pool of processes, one a core, each with a thread and a part of the texts."""
    parts = [(work, work.texts[rank::CORES]) for rank in range(CORES)]
    with multiprocessing.get_context("spawn").Pool(CORES) as pool:
        pool.map(predict_part, parts, chunksize=1)  # imports, and a model for each process
        seconds = pool.map(predict_part, parts, chunksize=1)
    return len(work.texts) / max(seconds)


def predict_part(given: tuple[Work, Sequence[str]]) -> float:
    """Seconds for some texts in this process, the making of the model left out."""
    work, texts = given
    torch.set_num_threads(1)
    featurizer = Featurizer(work.features)
    batch: int
    predict: Callable[[Sequence[str]], Any]
    if work.network is None:
        weights, batch = torch.zeros((featurizer.num_features, len(CLASSES))), 2048

        def predict(some: Sequence[str]) -> Any:
            found = featurizer.transform(some)
            return torch.sparse_csr_tensor(found.indptr, found.indices, found.data, found.shape) @ weights

    else:
        model, batch = _classifier(work.network).eval(), work.network.batch_size
        texts = sorted(texts, key=len)

        def predict(some: Sequence[str]) -> Any:
            return _logits(model, featurizer.transform(some))

    with torch.inference_mode():
        predict(texts[:batch])
        start = time.perf_counter()
        for at in range(0, len(texts), batch):
            predict(texts[at : at + batch]).softmax(1).numpy()
        return time.perf_counter() - start


def _classifier(spec: NetworkSpec) -> Any:
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(spec.encoder, num_labels=len(CLASSES))


def _logits(model: Any, tokens: Any) -> torch.Tensor:
    ids, mask = (torch.from_numpy(part) for part in padded(tokens, pad=model.config.pad_token_id or 0))
    found: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits
    return found


def middle(turns: Sequence[tuple[float, float]]) -> float:
    """Median of the ratios of the first to the second, one a turn."""
    return round(median(ours / plain for ours, plain in turns), 3)
