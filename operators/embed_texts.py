"""Rows of a shard to embeddings by a frozen encoder: the only pass over the texts.

What comes of it is kept in half precision by shard and encoder. Training and predictions read the same numbers, and
other programs, labels or heads cost no pass.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.commit import commit_table
from operators.corpus.plan import Shard
from operators.corpus.read import read_shard
from operators.corpus.records import Fields
from operators.embed import embeddings_path
from operators.errors import InputError
from operators.features import halved
from operators.storage import Folder, folder_of, read_schema, read_table


class EmbedTexts:
    """Step: write `embeddings/<shard>-<digest>.parquet`.

    Columns: embedding (d float16, of length 1), in the order of the shard. A null counts as an empty text.
    """

    def __init__(
        self, *, folder: str, text: str | Fields, id_column: str | None, encoder: str, digest: str, threads: int = 1
    ) -> None:
        """Load the encoder.

        Args:
            folder: of the shard files.
            text: where a row's text comes from.
            id_column: None where rows are numbered.
            encoder: folder or hub name.
            digest: covers the encoder and the text column.
            threads: that it may compute with; cores that no other worker has.

        Raises:
            InputError: the encoder cannot be loaded.
        """
        # Imported here: torch and transformers take seconds, and who reads embeddings needs neither.
        from operators.encoder import Encoder

        self._folder = folder_of(folder)
        self._text = text
        self._id = id_column
        self._digest = digest
        self._encoder = Encoder(encoder)
        compute_with(threads)

    def __call__(self, item: str) -> bytes:
        """Embed shard `item`, a Shard as JSON; returns JSON {"rows"}.

        Raises:
            InputError: the shard cannot be read.
        """
        shard = Shard.from_json(item)
        texts = read_shard(shard, text=self._text, id=self._id).column("text").to_pylist()
        embeddings = halved(self._encoder.encode([text or "" for text in texts]))
        # Of a fixed size, so that the width is there even where no row is.
        rows = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.reshape(-1)), self._encoder.num_features)
        commit_table(embeddings_path(self._folder, shard.key, self._digest), pa.table({"embedding": rows}))
        return json.dumps({"rows": len(texts)}).encode()


def read_embeddings(folder: Folder, shard_key: str, digest: str, *, rows: int) -> npt.NDArray[np.float16]:
    """Read what `EmbedTexts` wrote; (rows, d).

    Raises:
        FileNotFoundError: the shard was not embedded.
        InputError: it had another number of rows.
    """
    found = read_table(embeddings_path(folder, shard_key, digest)).column("embedding").combine_chunks()
    if len(found) != rows:
        raise InputError(f"shard {shard_key}: {len(found)} rows were embedded, {rows} are there; run again")
    flat: npt.NDArray[Any] = found.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(rows, found.type.list_size)


def width_of(path: Folder) -> int:
    """Return d, of the embeddings in a file of `EmbedTexts`."""
    return int(read_schema(path).field("embedding").type.list_size)


def compute_with(threads: int) -> None:
    """Let torch compute with so many threads; a worker starts with one."""
    if threads > 1:
        import torch

        torch.set_num_threads(threads)
