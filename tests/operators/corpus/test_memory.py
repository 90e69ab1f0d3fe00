"""Data in memory is written once, and again only when it is other data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.corpus.memory import to_parquet
from operators.errors import InputError


def test_the_same_frame_is_the_same_file(tmp_path):
    """A frame that is there already keeps its file and its time of modification; another gets its own."""
    frame = pd.DataFrame({"text": ["a", None], "n": [1, 2]}, index=[5, 7])
    (path,) = to_parquet(frame, tmp_path)
    before = Path(path).stat().st_mtime_ns
    assert to_parquet(frame.copy(), tmp_path) == [path]
    assert Path(path).stat().st_mtime_ns == before
    assert pq.read_table(path).to_pydict() == {"text": ["a", None], "n": [1, 2]}
    assert to_parquet(frame.iloc[:1], tmp_path) != [path]
    assert [p for p in tmp_path.iterdir() if "tmp" in p.name] == []


def test_row_groups_are_no_larger_than_a_shard(tmp_path):
    """No row group is so big that two shards would decode it."""
    (path,) = to_parquet(pa.table({"n": range(40_000)}), tmp_path)
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [16_384, 16_384, 7_232]


@pytest.mark.parametrize("kind", ["bytes", "structs"])
def test_row_groups_of_images_are_bounded_in_bytes(tmp_path, kind):
    """Encoded images of 0.6 MB make row groups of 20 MB, and thumbnails larger ones; whole and in their order."""
    images = [bytes([number]) * 600_000 for number in range(160)]
    column = images if kind == "bytes" else [{"bytes": image, "path": None} for image in images]
    (path,) = to_parquet(pa.table({"image": column}), tmp_path)
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [32] * 5
    assert pq.read_table(path).column("image").to_pylist() == column
    (path,) = to_parquet(pa.table({"image": [b"x" * 50] * 1000}), tmp_path)
    assert pq.ParquetFile(path).metadata.num_row_groups == 1


@pytest.mark.slow
def test_hugging_face_datasets(tmp_path):
    """A split of a Hugging Face dataset comes in its order."""
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"text": [f"t{i}" for i in range(20_000)]}).select(range(19_000, 0, -1))
    (path,) = to_parquet(data, tmp_path)
    assert pq.read_table(path).column("text").to_pylist() == [f"t{i}" for i in range(19_000, 0, -1)]


@pytest.mark.ray
@pytest.mark.slow
# Ray 2.60 warns of fields of its own when it makes its context.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")
def test_ray_datasets(tmp_path):
    """A Ray dataset is written block by block, all rows once."""
    import ray

    from cluster.session import connect

    with connect(num_cpus=2):
        (path,) = to_parquet(ray.data.range(1000), tmp_path)
    assert sorted(pq.read_table(path).column("id").to_pylist()) == list(range(1000))


def test_what_is_no_data_is_refused(tmp_path):
    """A list, a frame of no columns or a column of mixed types is refused with what to do."""
    with pytest.raises(InputError, match=r"builtins.list is not data"):
        to_parquet([1], tmp_path)
    with pytest.raises(InputError, match="values of one type"):
        to_parquet(pd.DataFrame({"a": [1, "x"]}), tmp_path)
