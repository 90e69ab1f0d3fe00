"""Plain torch, as anybody would write it: what `distillation_throughput` compares with."""

from __future__ import annotations

import time
from collections.abc import Callable
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
PASSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What both sides train and predict."""

    name: str
    texts: tuple[str, ...]
    features: FeatureSpec
    network: NetworkSpec

    def rows(self, part: slice = slice(None)) -> Rows:
        """Featurize some of the texts, with drawn soft labels."""
        matrix = Featurizer(self.features).transform(self.texts[part])
        share = np.random.default_rng(0).random((len(self.texts), 1)).astype(np.float32)[part]
        return Rows(features=matrix, soft=np.hstack([share, 1 - share]))


def train_plain(work: Work) -> float:
    """Seconds a pass of plain torch."""
    torch.set_num_threads(CORES)
    rows, spec = work.rows(), work.network
    labels = torch.from_numpy(rows.soft)
    lengths = None if spec.encoder is None else np.diff(rows.features.indptr)
    torch.manual_seed(0)
    scores, parameters, step_kind = _plain_network(work, rows)
    optimizer = step_kind(parameters, lr=spec.learning_rate)
    seconds = []
    for number in range(PASSES + 1):
        start = time.perf_counter()
        order = np.random.default_rng(number)
        for batch in batches_of(rows.num_rows, size=spec.batch_size, lengths=lengths, rng=order):
            optimizer.zero_grad()
            functional.cross_entropy(scores(rows.features[batch]), labels[batch]).backward()
            if spec.encoder is not None:
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:])


def predict_plain(work: Work) -> float:
    """Seconds for all texts in this process with two threads, in batches by plain torch."""
    torch.set_num_threads(CORES)
    rows = work.rows(slice(0, 8))
    scores, _, _ = _plain_network(work, rows)
    featurizer = Featurizer(work.features)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        with torch.inference_mode():
            ordered = sorted(work.texts, key=len) if work.network.encoder is not None else work.texts
            for at in range(0, len(ordered), work.network.batch_size):
                scores(featurizer.transform(ordered[at : at + work.network.batch_size])).softmax(1)
        seconds.append(time.perf_counter() - start)
    return seconds[-1]


def _plain_network(work: Work, rows: Rows) -> tuple[Callable[[Any], torch.Tensor], list[torch.nn.Parameter], Any]:
    if work.network.encoder is not None:
        from transformers import AutoModelForSequenceClassification

        model = AutoModelForSequenceClassification.from_pretrained(
            work.network.encoder, num_labels=len(CLASSES)
        ).train()

        def through_encoder(features: Any) -> torch.Tensor:
            ids, mask = (torch.from_numpy(part) for part in padded(features, pad=model.config.pad_token_id or 0))
            found: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits
            return found

        return through_encoder, list(model.parameters()), torch.optim.AdamW
    bag = torch.nn.EmbeddingBag(rows.features.shape[1], work.network.hidden, mode="sum")
    rest = torch.nn.Sequential(
        torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(work.network.hidden, len(CLASSES))
    )

    def through_bag(features: Any) -> torch.Tensor:
        indices = torch.from_numpy(features.indices.astype(np.int64))
        offsets = torch.from_numpy(features.indptr[:-1].astype(np.int64))
        found: torch.Tensor = rest(bag(indices, offsets, per_sample_weights=torch.from_numpy(features.data)))
        return found

    return through_bag, [*bag.parameters(), *rest.parameters()], torch.optim.Adam
