"""Which rows of a shard a language model should label: uncovered ones, uncertain ones, and a sample of the test rows.

A worker ranks its own rows and keeps as many as could be asked about; where the cut lies is decided over all shards,
from ranks alone. Requests do not leave from here, because key, ledger and budget are one and not a worker's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.commit import commit_table
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.corpus.records import Fields
from operators.posterior import Evidence, soft_labels
from operators.rows import rows_path
from operators.schema import ABSTAIN, Floats
from operators.storage import Folder, folder_of, read_table
from operators.votes import VoteStore

ANNOTATION = pa.schema(
    [
        ("place", pa.int32()),
        ("label", pa.int8()),
        ("fault", pa.string()),
        ("is_rest", pa.bool_()),
        ("is_baseline", pa.bool_()),
        ("shortened", pa.bool_()),
        ("question", pa.string()),
        ("model", pa.string()),
        ("tokens_in", pa.int64()),
        ("tokens_out", pa.int64()),
        ("cost", pa.float64()),
        ("currency", pa.string()),
    ]
)
"""Of an annotated shard: `place` is that of a row in its shard; `label` is -1 beside a `fault`; rows with the same
`question` share one request, and its price counts once."""


class PickShard:
    """Step: write `picked/<shard>-<digest>.parquet`.

    Columns: place, text, shortened, rest and baseline: the row's rank as either, null where it is not; the smaller
    the sooner it is asked about. No gold is read.
    """

    def __init__(
        self,
        *,
        folder: str,
        rows: str,
        text: str | Fields,
        id_column: str | None,
        program_keys: Sequence[str],
        evidence: Evidence,
        baseline_rows: int,
        rest_rows: int,
        uncovered: bool,
        below_confidence: float,
        max_text_chars: int,
        digest: str,
    ) -> None:
        self._folder = folder_of(folder)
        self._rows = rows
        self._text = text
        self._id = id_column
        self._program_keys = tuple(program_keys)
        self._evidence = evidence
        self._baseline_rows = baseline_rows
        self._rest_rows = rest_rows
        self._uncovered = uncovered
        self._below = below_confidence
        self._max_text_chars = max_text_chars
        self._digest = digest

    def __call__(self, item: str) -> bytes:
        """Rank the rows of shard `item`, a Shard as JSON; returns nothing, the file says all."""
        shard = Shard.from_json(item)
        rows = read_table(rows_path(self._folder, shard.key, self._rows), columns=["is_test", "null_text"])
        has_text = ~rows.column("null_text").to_numpy()
        votes, _ = VoteStore(self._folder).read(shard.key, self._program_keys)
        confidence = soft_labels(votes, self._evidence).max(axis=1)
        covered = (votes != ABSTAIN).any(axis=1)
        chance = _chance(shard.key, len(confidence))
        wanted = np.where(covered, confidence < self._below, self._uncovered) & has_text
        # Uncovered rows come first; chance parts rows that are equally certain.
        rank = np.where(covered, 1 + np.floor(confidence * 1e6) / 1e6, 0.0) + chance * 1e-6
        rest = _first(np.where(wanted, rank, np.inf), self._rest_rows)
        is_test = rows.column("is_test").to_numpy()
        baseline = _first(np.where(is_test & has_text, chance, np.inf), self._baseline_rows)
        places = np.flatnonzero(np.isfinite(rest) | np.isfinite(baseline))
        texts: list[str] = []
        if len(places):
            texts = read_shard(shard, text=self._text, id=self._id).column("text").take(pa.array(places)).to_pylist()
        table = pa.table(
            {
                "place": pa.array(places, pa.int32()),
                "text": pa.array([text[: self._max_text_chars] for text in texts], pa.large_string()),
                "shortened": pa.array([len(text) > self._max_text_chars for text in texts], pa.bool_()),
                "rest": _ranks(rest[places]),
                "baseline": _ranks(baseline[places]),
            }
        )
        commit_table(picked_path(self._folder, shard.key, self._digest), table)
        return b""


def picked_path(folder: Folder, shard_key: str, digest: str) -> Folder:
    """Where the ranked rows of a shard stand until they are annotated."""
    return folder / "picked" / f"{shard_key}-{digest}.parquet"


def annotations_path(folder: Folder, shard_key: str, digest: str) -> Folder:
    """Where the annotations of a shard stand, a table of `ANNOTATION`."""
    return folder / "annotations" / f"{shard_key}-{digest}.parquet"


def _first(ranks: Floats, count: int) -> Floats:
    """Keep the `count` smallest ranks; infinity in the place of the others."""
    kept = np.full(len(ranks), np.inf)
    places = np.argsort(ranks, kind="stable")[:count]
    kept[places] = ranks[places]
    return kept


def _ranks(values: Floats) -> pa.Array:
    return pa.array(values, pa.float64(), mask=~np.isfinite(values))


def _chance(shard_key: str, num_rows: int) -> Floats:
    """Draw a number in 0..1 for each row, the same in any process."""
    seed = int.from_bytes(hashlib.sha256(shard_key.encode()).digest()[:8], "big")
    drawn: npt.NDArray[np.float64] = np.random.default_rng(seed).random(num_rows)
    return drawn
