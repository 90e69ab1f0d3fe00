"""Reading the rows of a shard: ids and texts in their order, whatever the format of the files."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from operators.corpus import delimited, images, jsonl, parquet
from operators.corpus.columns import as_ids, as_texts, check_encoding
from operators.corpus.images import ImageColumn
from operators.corpus.opening import check_unchanged
from operators.corpus.pieces import Piece
from operators.corpus.plan import Shard
from operators.corpus.records import Fields, as_records, columns_of
from operators.errors import ChangedError, InputError

_FORMATS = {"parquet": parquet.read, "jsonl": jsonl.read, images.FORMAT: images.read}


def read_shard(
    shard: Shard, *, text: str | Fields | ImageColumn, id: str | None, extra: Sequence[str] = ()
) -> pa.Table:
    """Read a shard.

    Args:
        shard: of a plan made on these files as they are.
        text: column with the text, the fields that make it up, or a column of images, which go by their names.
        id: column with the ids; None numbers the rows of a file, from 0, and takes a file that is a row by its name.
        extra: columns to read besides.

    Returns:
        (n rows) `id`: int64, or string (`<file>:<row>` where `id` is None; CSV ids are always strings);
        `text`: large_string, null where the file has a null; the extra columns by their names, in the types of the
        file (CSV: string).

    Raises:
        InputError: a file cannot be read, or a column has the wrong type; the message names the file, and the row
            where there is one.
        ChangedError: a file is not the one that was planned, or was changed while it was read.
    """
    clash = [name for name in extra if name in ("id", "text") and name != {"id": id, "text": text}[name]]
    if clash:
        raise InputError(
            f"column {clash[0]!r} cannot be read beside the text in {text!r} and the id in {id!r}, because the "
            f"output has a column {clash[0]!r} of its own; rename it in the data"
        )
    others = [name for name in dict.fromkeys(extra) if name not in ("id", "text")]
    tables = [_read(piece, text=text, id_column=id, extra=others) for piece in shard.pieces]
    kinds = {str(table.schema.field("id").type): piece.path for table, piece in zip(tables, shard.pieces, strict=True)}
    if len(kinds) > 1:
        found = " and ".join(f"{kind} in {path}" for kind, path in kinds.items())
        raise InputError(f"the ids in column {id!r} are {found}; give all files ids of one type")
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(
            f"columns {others} have types that do not go together in {shard.files()}: {error}; give each one type"
        ) from error


def _read(piece: Piece, *, text: str | Fields | ImageColumn, id_column: str | None, extra: Sequence[str]) -> pa.Table:
    check_unchanged(piece)
    made_of = (text.column,) if isinstance(text, ImageColumn) else columns_of(text)
    columns = list(dict.fromkeys([*made_of, *([] if id_column is None else [id_column]), *extra]))
    try:
        table = _FORMATS.get(piece.format, delimited.read)(piece, columns=columns)
    except InputError:
        # What looks like damage may be a file that somebody is writing.
        check_unchanged(piece)
        raise
    check_unchanged(piece)
    if table.num_rows != piece.num_rows:
        raise ChangedError(
            f"{piece.path}: {piece.num_rows} rows were planned from row {piece.first_row} on, {table.num_rows} "
            "are there; the file is another than was planned though its time is the same, write it anew and run again"
        )
    check_encoding(table, piece)
    if id_column is None:
        rows = range(piece.first_row, piece.first_row + piece.num_rows)
        named = [piece.name] if piece.format == images.FORMAT else [f"{piece.name}:{row}" for row in rows]
        ids = pa.array(named, pa.string())
    else:
        ids = as_ids(table.column(id_column), piece, column_name=id_column)
    if isinstance(text, str):
        texts = as_texts(table.column(text), piece, column_name=text)
    elif isinstance(text, ImageColumn):
        texts = images.as_names(table.column(text.column), piece, column_name=text.column)
    else:
        texts = as_records(table, text, path=piece.path)
    columns_out = {"id": ids, "text": texts}
    return pa.table(columns_out | {name: table.column(name) for name in extra})
