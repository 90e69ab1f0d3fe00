"""Featurized shards of planted texts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.features import FeatureSpec, Featurizer

SPEC = FeatureSpec(num_features_log2=12, max_ngram=1)
WORDS = {0: ("awful", "boring", "dull", "waste"), 1: ("great", "lovely", "superb", "fun")}
OTHER = ("the", "film", "was", "plot", "scene", "actor")


def planted(num_rows: int, *, seed: int, share: float = 0.5) -> tuple[list[str], np.ndarray]:
    """Write texts whose class words name their class; returns them and their classes."""
    rng = np.random.default_rng(seed)
    classes = (rng.random(num_rows) < share).astype(int)
    texts = [" ".join([*rng.choice(WORDS[int(c)], 2), *rng.choice(OTHER, 5)]) for c in classes]
    return texts, classes


def write_rows(path: Path, block: Any, soft: np.ndarray | None, folds: np.ndarray) -> Path:
    """Write (n, d) features with (n, k) soft labels, null where there are none, and (n,) folds as a run does."""
    spans = [slice(a, b) for a, b in zip(block.indptr, block.indptr[1:], strict=False)]
    labels = pa.list_(pa.float32())
    table = pa.table(
        {
            "indices": pa.array([block.indices[s] for s in spans], pa.list_(pa.int32())),
            "values": pa.array([block.data[s] for s in spans], pa.list_(pa.float32())),
            "soft_label": pa.nulls(len(spans), labels) if soft is None else pa.array(soft.tolist(), labels),
            "fold": pa.array(folds, pa.uint8()),
        }
    )
    pq.write_table(table, path)
    return path


@pytest.fixture
def written_rows() -> Callable[..., Path]:
    """Write rows that a test has featurized, see `write_rows`."""
    return write_rows


def write_features(
    folder: Path,
    *,
    num_rows: int = 400,
    num_files: int = 3,
    noise: float = 0.2,
    share: float = 0.5,
    heldout: float = 0.2,
    uncovered: int = 0,
) -> list[Path]:
    """Write feature files with soft labels that are wrong for a share `noise` of the rows."""
    texts, classes = planted(num_rows, seed=0, share=share)
    rng = np.random.default_rng(1)
    told = np.where(rng.random(num_rows) < noise, 1 - classes, classes)
    soft = np.where(told[:, None] == np.arange(2), 0.8, 0.2)
    folds = np.where(rng.random(num_rows) < heldout, 0, 1 + np.arange(num_rows) % 9)
    features = Featurizer(SPEC).transform(texts)
    files = []
    for i, part in enumerate(np.array_split(np.arange(num_rows), num_files)):
        files.append(write_rows(folder / f"{i}.parquet", features[part], soft[part], folds[part]))
    if uncovered:
        block = Featurizer(SPEC).transform(planted(uncovered, seed=2, share=share)[0])
        files.append(write_rows(folder / "uncovered.parquet", block, None, np.ones(uncovered)))
    return files


@pytest.fixture
def feature_files(tmp_path: Path) -> Callable[..., list[Path]]:
    """Make feature files, see `write_features`, in the test's own folder."""
    return partial(write_features, tmp_path)


@pytest.fixture(scope="module")
def kept_feature_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Feature files for all tests of a module."""
    return write_features(tmp_path_factory.mktemp("features"))
