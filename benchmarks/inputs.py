"""Planning and indexing at the edges: a hundred thousand tiny files, and one file of gigabytes.

Each phase is a process of its own, so that its peak memory is its own: `plan` cuts the corpus as the driver does,
`index` reads every shard and writes its rows as one worker does, without Ray. Memory must follow the shard (16,384 rows
or 4 MB), not the corpus. Files are made in a temporary folder and deleted afterwards.

    python benchmarks/inputs.py [--files 100000] [--gigabytes 5] [--folder DIR] [--out FILE]

Either may be 0, to leave it out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from measure import ROOT, provenance

from operators.corpus.plan import plan_shards
from operators.rows import IndexShard, SplitRule

_WORDS = tuple("the a video song people free win love nice voice again really today offer this and of".split(" "))  # noqa: SIM905


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One measurement.

    Attributes:
        seconds: of the wall clock, which depends on who else uses the machine.
        cpu_s: CPU seconds of the process.
        base_mb: peak memory of a process that has imported everything and read nothing.
        peak_mb: of this process, base included.
    """

    corpus: str
    phase: str
    files: int
    gigabytes: float
    shards: int
    rows: int
    seconds: float
    cpu_s: float
    base_mb: int
    peak_mb: int


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--folder", type=Path, default=None, help="where the files are made; the system's by default")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/inputs.json")
    options = parser.parse_args()
    free = shutil.disk_usage(options.folder or tempfile.gettempdir()).free
    needed = int(options.gigabytes * 1.3e9) + options.files * 8192
    if free < needed:
        sys.exit(f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; choose another --folder")
    phases: list[Phase] = []
    for kind in ("jsonl", "csv", "parquet") if options.files else ():
        phases += _measured(f"tiny {kind}", kind, lambda p, k: _tiny(p, k, options.files), options.folder)
        _record(phases, options.out)
    for kind in ("parquet", "csv") if options.gigabytes else ():
        phases += _measured(f"one {kind}", kind, lambda p, k: _one(p, k, options.gigabytes), options.folder)
        _record(phases, options.out)


def _record(phases: Sequence[Phase], out: Path) -> None:
    """Write down what was measured so far; a run takes a while."""
    content = {"phases": [asdict(phase) for phase in phases], **provenance(packages=["pyarrow", "fsspec"])}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _measured(name: str, kind: str, make: Callable[[Path, str], None], folder: Path | None) -> list[Phase]:
    with tempfile.TemporaryDirectory(prefix="inputs-", dir=folder) as temporary:
        root = Path(temporary)
        (root / "data").mkdir()
        make(root / "data", kind)
        found = []
        for phase in (_plan, _index):
            # A fresh process, forked from nothing, so that its peak is not ours.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                told = pool.apply(phase, (str(root),))
            found.append(Phase(corpus=name, phase=phase.__name__.strip("_"), **told))
            print(
                f"{name:13} {found[-1].phase:5} {told['files']:7,} files {told['gigabytes']:5.2f} GB "
                f"{told['shards']:5,} shards {told['rows']:10,} rows {told['seconds']:7.1f} s "
                f"{told['cpu_s']:6.1f} s CPU {told['base_mb']:4} -> {told['peak_mb']:5} MB",
                flush=True,
            )
    return found


def _tiny(folder: Path, kind: str, files: int) -> None:
    for number in range(files):
        inner = folder / f"{number // 1000:03}"
        if number % 1000 == 0:
            inner.mkdir()
        texts = [f"{number} {_WORDS[number % len(_WORDS)]} {row}" for row in range(1 + number % 3)]
        path = inner / f"{number:06}.{kind}"
        if kind == "parquet":
            pq.write_table(pa.table({"text": texts}), path)
        elif kind == "csv":
            path.write_text("text\n" + "".join(f'"{text}"\n' for text in texts), encoding="utf-8")
        else:
            path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")


def _one(folder: Path, kind: str, gigabytes: float) -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices(_WORDS, k=rng.randrange(20, 80))) + f" {i}" for i in range(100_000)]
    path, size = folder / f"one.{kind}", int(gigabytes * 1e9)
    if kind == "csv":
        block = "".join(f'"{text}\nsaid ""so"""\n' for text in texts).encode()
        with path.open("wb") as file:
            file.write(b"text\n")
            while file.tell() < size:
                file.write(block)
        return
    # A million rows a group, as many writers make them; plain, so that the file is as large as its texts.
    table = pa.table({"text": pa.concat_arrays([pa.array(texts, pa.large_string())] * 10)})
    with pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False) as writer:
        while path.stat().st_size < size:
            writer.write_table(table, row_group_size=len(table))


def _plan(root: str) -> dict[str, object]:
    base, start, cpu = _peak_mb(), time.perf_counter(), time.process_time()
    shards = plan_shards([f"{root}/data"], max_rows=16_384, max_bytes=4 << 20, columns=["text"])
    clocks, peak = (time.perf_counter() - start, time.process_time() - cpu), _peak_mb()
    with Path(root, "items").open("w", encoding="utf-8") as file:
        file.writelines(shard.to_json() + "\n" for shard in shards)
    Path(root, "told").write_text(json.dumps(_size(root) | _counts([s.num_rows for s in shards])), encoding="utf-8")
    return _told(root, clocks=clocks, base=base, peak=peak)


def _index(root: str) -> dict[str, object]:
    base, start, cpu = _peak_mb(), time.perf_counter(), time.process_time()
    rule = SplitRule(column=None, train_values=("train",), test_values=("test",), fraction=0.2)
    step = IndexShard(folder=f"{root}/run", digest="d", text="text", id_column=None, split=rule)
    with Path(root, "items").open(encoding="utf-8") as file:
        for line in file:
            step(line)
    clocks = time.perf_counter() - start, time.process_time() - cpu
    return _told(root, clocks=clocks, base=base, peak=_peak_mb())


def _size(root: str) -> dict[str, float]:
    sizes = [path.stat().st_size for path in Path(root, "data").rglob("*") if path.is_file()]
    return {"files": len(sizes), "gigabytes": round(sum(sizes) / 1e9, 3)}


def _counts(rows: list[int]) -> dict[str, float]:
    return {"shards": len(rows), "rows": sum(rows)}


def _told(root: str, *, clocks: tuple[float, float], base: int, peak: int) -> dict[str, object]:
    told: dict[str, object] = json.loads(Path(root, "told").read_text(encoding="utf-8"))
    seconds, cpu = clocks
    return told | {"seconds": round(seconds, 1), "cpu_s": round(cpu, 1), "base_mb": base, "peak_mb": peak}


def _peak_mb() -> int:
    # Not getrusage, whose figure a new process inherits from the one that started it.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) >> 10


if __name__ == "__main__":
    main()
