"""Write the table of Waterbirds' images from the metadata.csv of WILDS: paths, labels, groups, places, split."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

SPLITS = ("train", "val", "test")
BIRDS, PLACES = ("landbird", "waterbird"), ("land", "water")


def prepare(folder: Path, out: Path) -> int:
    """Write `out` from `folder`, which holds metadata.csv and the images; returns the number of rows."""
    rows = pa.csv.read_csv(folder / "metadata.csv").to_pylist()
    table = pa.table(
        {
            "image": [str((folder / row["img_filename"]).resolve()) for row in rows],
            "y": [row["y"] for row in rows],
            "group": [f"{BIRDS[row['y']]} on {PLACES[row['place']]}" for row in rows],
            "place": [PLACES[row["place"]] for row in rows],
            "split": [SPLITS[row["split"]] for row in rows],
        }
    )
    out.parent.mkdir(exist_ok=True)
    pq.write_table(table, out)
    return table.num_rows


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: prepare.py FOLDER, the one with metadata.csv")
    written = Path(__file__).parent / "data" / "waterbirds.parquet"
    print(f"{prepare(Path(sys.argv[1]), written)} rows in {written}")  # noqa: T201 - a script
