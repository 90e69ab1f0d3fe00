"""The rows of a shard: their ids and the split they belong to, written down once.

Everything after this stage knows a row by its place in the shard, so the corpus is checked here, before any
program runs and any money is spent: columns, ids, split values. Gold is not read.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from operators.commit import commit_table
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.corpus.records import Fields
from operators.errors import ChangedError, InputError
from operators.storage import Folder, folder_of, read_schema

_COUNTS = b"row_counts"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """What a corpus holds; a monoid.

    Attributes:
        text_bytes: of all rows together, as UTF-8.
    """

    rows: int = 0
    test_rows: int = 0
    null_texts: int = 0
    text_bytes: int = 0

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    def to_bytes(self) -> bytes:
        """Write as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> RowCounts:
        """Read what `to_bytes` wrote."""
        return cls(**json.loads(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRule:
    """Which rows are test rows: by the file they stand in, by a column, or by a hash of their text.

    Attributes:
        column: a column with split names, None for a hash of the normalised text.
        fraction: share of test rows where the hash decides, 0..1.
    """

    column: str | None
    train_values: tuple[str, ...]
    test_values: tuple[str, ...]
    fraction: float


class IndexShard:
    """Step: write `rows/<shard>-<digest>.parquet` (id, is_test, null_text) in the order of the shard."""

    def __init__(
        self,
        *,
        folder: str,
        digest: str,
        text: str | Fields,
        id_column: str | None,
        split: SplitRule,
        skip_bad: bool = False,
    ) -> None:
        self._folder = folder_of(folder)
        self._digest = digest
        self._text = text
        self._id = id_column
        self._split = split
        self._skip_bad = skip_bad

    def __call__(self, item: str) -> bytes:
        """Index one shard.

        Returns:
            JSON: the key of the shard, and as "skipped" {number of a piece: why} of the pieces that cannot be read,
            where such are to be skipped. The rows of the others then stand under the key of `without`.

        Raises:
            InputError: a row cannot be read or has no id, or the split column holds a value that the task does not
                name; a file cannot be written, which is never skipped.
            ChangedError: a file is not the one that was planned; never skipped, as running again reads it.
        """
        shard = Shard.from_json(item)
        bad: dict[int, str] = {}
        left: Shard | None = shard
        try:
            checked = self._checked(shard)
        except ChangedError:
            raise
        except InputError as error:
            if not self._skip_bad:
                raise
            bad = self._bad_pieces(shard) or dict.fromkeys(range(len(shard.pieces)), str(error))
            left = without(shard, bad)
            if left is not None:
                checked = self._checked(left)
        if left is not None:
            self._write(left, *checked)
        return json.dumps({"key": shard.key, "skipped": bad}).encode()

    def _bad_pieces(self, shard: Shard) -> dict[int, str]:
        """Read piece by piece, so that one bad file costs no row of the thousands that may stand in its shard."""
        bad = {}
        for number, piece in enumerate(shard.pieces):
            try:
                self._checked(Shard.of([piece], split=shard.split))
            except ChangedError:
                raise
            except InputError as error:
                bad[number] = str(error)
        return bad

    def _checked(self, shard: Shard) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
        """Read the rows, and say which are test rows."""
        extra = () if self._split.column is None else (self._split.column,)
        table = read_shard(shard, text=self._text, id=self._id, extra=extra)
        if table.column("id").null_count:
            row = table.column("id").is_null().to_pylist().index(True)
            raise InputError(
                f"{shard.place(row)}: no id in column {self._id!r}; every row needs one, "
                "or leave `columns.id` out to number the rows"
            )
        return table, on_test_side(table, shard, self._split)

    def _write(self, shard: Shard, table: pa.Table, is_test: npt.NDArray[np.bool_]) -> None:
        texts = table.column("text")
        counts = RowCounts(
            rows=table.num_rows,
            test_rows=int(is_test.sum()),
            null_texts=texts.null_count,
            text_bytes=pc.sum(pc.binary_length(texts)).as_py() or 0,
        ).to_bytes()
        rows = pa.table({"id": table.column("id"), "is_test": is_test, "null_text": texts.is_null()})
        path = rows_path(self._folder, shard.key, self._digest)
        # In the footer, so that an index that is resumed reads no rows again.
        commit_table(path, rows.replace_schema_metadata({_COUNTS: counts}))


def without(shard: Shard, pieces: Collection[int]) -> Shard | None:
    """Make the shard that is left when pieces, by their numbers, cannot be read; None where nothing is left."""
    left = [piece for number, piece in enumerate(shard.pieces) if number not in pieces]
    return Shard.of(left, split=shard.split) if left else None


def rows_path(folder: Folder, shard_key: str, digest: str) -> Folder:
    """Where the rows of a shard stand; `digest` covers the id column and the split."""
    return folder / "rows" / f"{shard_key}-{digest}.parquet"


def read_counts(path: Folder) -> RowCounts:
    """Return the counts of an indexed shard."""
    return RowCounts.from_bytes(read_schema(path).metadata[_COUNTS])


def normalised(text: str) -> str:
    """Bring a text to the form by which duplicates are recognised: NFKC, case folded, blanks collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_hash(text: str | None) -> float:
    """Map a text to 0..1, the same for texts that differ in case and blanks alone."""
    digest = hashlib.sha256(normalised(text or "").encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def on_test_side(table: pa.Table, shard: Shard, rule: SplitRule) -> npt.NDArray[np.bool_]:
    """Say which rows of a shard are test rows.

    Args:
        table: with a column `text` for a rule by hash, else with the rule's column.
        shard: where the rows stand.
        rule: of the corpus.

    Raises:
        InputError: the split column holds a value that the rule does not name.
    """
    if shard.split is not None:
        return np.full(table.num_rows, shard.split == "test")
    if rule.column is None:
        texts: Sequence[str | None] = table.column("text").to_pylist()
        return np.array([text_hash(text) < rule.fraction for text in texts], dtype=bool)
    values = [None if v is None else str(v) for v in table.column(rule.column).to_pylist()]
    for row, value in enumerate(values):
        if value not in rule.test_values and value not in rule.train_values:
            raise InputError(
                f"{shard.place(row)}: {value!r} in the split column {rule.column!r}; expected one of "
                f"{[*rule.train_values, *rule.test_values]}; add it to `data.train_values` or `data.test_values`"
            )
    return np.array([value in rule.test_values for value in values], dtype=bool)
