"""How fast images are embedded and scored, beside the bare model on batches that are already in its memory.

Images a second of (i) the bare model on preprocessed batches, (ii) the engine's own step on Ray Data, from JPEGs and
from shards of resized ones, (iii) the step that scores from stored embeddings. The weights are random, which changes
no speed. Each pipeline runs over two numbers of shards, and the difference is what counts, so that starting workers and
loading the model are taken off. Only ratios within a round are claimed, their medians over rounds: of images a second,
and of images a CPU second of all processes, Ray's too, which other work on the machine moves less.

    python benchmarks/clip_throughput.py [--model ViT-B-32] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from clip_data import write_checkpoint, write_photographs, write_resized
from clip_rates import Rate, Rates, summary
from measure import ROOT, SHARED, provenance
from process_tree import Usage, used

from cluster.session import Session, connect
from engine.stages.embeddings import cores
from engine.stages.stream import num_actors
from operators.clip import OpenClip
from operators.corpus.pieces import Piece
from operators.corpus.plan import Shard, plan_shards
from operators.embed import EmbedShard, embeddings_path
from operators.featurizer import FeaturizerSpec
from operators.rows import SplitRule
from operators.score import ScoreShard, Texts
from operators.stream import run_shards

_SHARDS = (4, 20)
_STORED_ROWS, _CONCEPTS, _CLASSES = 16_384, 10, 2


def main() -> None:
    """Measure, print and write; exit with 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ViT-B-32", help="an architecture of open_clip")
    parser.add_argument("--batch-size", type=int, help="of model and engine; the engine's own unless given")
    parser.add_argument("--shard-rows", type=int, help="in a shard; 48 on a CPU, 2048 on a GPU unless given")
    parser.add_argument("--long-side", type=int, default=500, help="pixels of a photograph")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photographs", type=Path, default=SHARED / "data" / "images" / "hymenoptera")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "clip_throughput.json")
    args = parser.parse_args()
    # Ray's workers are nice to all else, which on a machine that is not quiet measures the others.
    os.environ.setdefault("RAY_worker_niceness", "0")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shard_rows = args.shard_rows or (48 if device == "cpu" else 2048)
    with tempfile.TemporaryDirectory() as scratch, connect() as session:
        folder = Path(scratch)
        weights = write_checkpoint(folder / "weights.pt", model=args.model)
        options: dict[str, Any] = {"model": args.model, "pretrained": str(weights)}
        if args.batch_size is not None:
            options["batch_size"] = args.batch_size
        clip = OpenClip(**options)
        photographs = write_photographs(
            folder / "jpegs", source=args.photographs, count=_SHARDS[1] * shard_rows, long_side=args.long_side
        )
        files = sorted(photographs.iterdir())
        bytes_a_jpeg = round(statistics.mean(path.stat().st_size for path in files[:397]))
        resized = write_resized(folder / "resized.parquet", photographs=files, shaping=clip._shaping)
        bounds = {"max_rows": shard_rows, "max_bytes": 1 << 40, "columns": ["image"]}
        shards = {
            "jpegs": plan_shards([str(photographs)], of_images=True, **bounds),
            "resized": plan_shards([str(resized)], **bounds),
        }
        batch = np.stack([clip.prepare(path.read_bytes()) for path in files[: clip.batch_size]])
        spec = FeaturizerSpec(use="operators.clip:OpenClip", options=options)
        pipelines = Pipelines(folder=folder, session=session, spec=spec)
        rounds = []
        for number in range(args.rounds):
            rates = Rates(
                bare=bare_rate(clip, batch, at_least=shard_rows * 8),
                **{name: pipelines.embed_rate(planned) for name, planned in shards.items()},
                stored=pipelines.score_rate(),
            )
            rounds.append(rates)
            sys.stdout.write(f"round {number}: {rates}\n")
        actors = pipelines.actors(_SHARDS[1])
    found = summary(rounds, device=device)
    told = {
        **provenance(packages=["torch", "open_clip_torch", "pillow", "ray"]),
        "model": args.model,
        "device": device if device == "cpu" else torch.cuda.get_device_name(),
        "cpus": session.num_cpus,
        "gpus": session.num_gpus,
        "cpus_per_gpu": session.num_cpus / session.num_gpus if session.num_gpus else None,
        "actors": actors,
        "threads_of_the_bare_model": torch.get_num_threads(),
        "batch_size": clip.batch_size,
        "shard_rows": shard_rows,
        "long_side": args.long_side,
        "bytes_a_jpeg": bytes_a_jpeg,
        **found,
    }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if found["bar"]["held"] else 1)


def bare_rate(clip: OpenClip, batch: np.ndarray[Any, Any], *, at_least: int) -> Rate:
    """Speed of the model alone, with all threads, on one preprocessed batch that stays where it is."""
    pixels = torch.from_numpy(batch).to(clip.device).permute(0, 3, 1, 2).float()
    pixels = ((pixels / 255 - clip._mean) / clip._std).contiguous(memory_format=torch.channels_last)
    times = max(2, -(-at_least // len(batch)))
    with torch.inference_mode(), clip._precision():
        clip._model.encode_image(pixels, normalize=True)
        _wait(clip.device)
        with used() as usage:
            for _ in range(times):
                clip._model.encode_image(pixels, normalize=True)
            _wait(clip.device)
    return Rate.between(Usage(), usage, times * len(batch))


class Pipelines:
    """The engine's own steps over shards, as its stage runs them."""

    def __init__(self, *, folder: Path, session: Session, spec: FeaturizerSpec) -> None:
        self._folder = folder
        self._session = session
        self._spec = spec
        self._embedded: Path | None = None

    def actors(self, num_items: int) -> int:
        """How many work at a time: one a GPU, or one a CPU where there is none."""
        if self._session.num_gpus:
            return min(self._session.num_gpus, num_items)
        return num_actors(self._session.num_cpus, num_items)

    def embed_rate(self, shards: Sequence[Shard]) -> Rate:
        """Speed from files to embeddings on the disk."""
        took = []
        for count in _SHARDS:
            digest = uuid.uuid4().hex[:12]
            args = {"folder": str(self._folder), "column": "image", "id_column": None, "digest": digest}
            took.append(self._usage(shards[:count], EmbedShard, args | cores(self._session, count, None)))
            self._embedded = Path(embeddings_path(self._folder, shards[0].key, digest))
        return Rate.between(*took, sum(shard.num_rows for shard in shards[_SHARDS[0] : _SHARDS[1]]))

    def score_rate(self) -> Rate:
        """Speed from embeddings on the disk to scored rows there, ten concepts of two classes."""
        assert self._embedded is not None  # embed_rate came before
        table = pq.read_table(self._embedded)
        table = pa.concat_tables([table] * (-(-_STORED_ROWS // table.num_rows))).slice(0, _STORED_ROWS)
        digest, shards = uuid.uuid4().hex[:12], []
        for number in range(_SHARDS[1]):
            # Of a file that nobody opens: what is scored are embeddings.
            piece = Piece(
                path=f"{number}.jpg",
                name=f"{number}.jpg",
                format="image",
                size=1,
                stamp="",
                first_row=0,
                num_rows=_STORED_ROWS,
                num_bytes=1,
            )
            shards.append(Shard.of([piece], split=None))
            pq.write_table(table, embeddings_path(self._folder, shards[-1].key, digest))
        texts = Texts(
            concepts=tuple(tuple(f"concept {c} of class {y}" for y in range(_CLASSES)) for c in range(_CONCEPTS)),
            normalisation="softmax",
            baselines={"zero_shot": (("a photo of the one", 0), ("a photo of the other", 1))},
        )
        args: dict[str, Any] = {
            "folder": str(self._folder),
            "embeddings": digest,
            "id_column": None,
            "texts": texts,
            "split": SplitRule(column=None, train_values=(), test_values=(), fraction=0.2),
            "copied": {},
        }
        took = [self._usage(shards[:count], ScoreShard, {**args, "digest": uuid.uuid4().hex[:12]}) for count in _SHARDS]
        return Rate.between(*took, (_SHARDS[1] - _SHARDS[0]) * _STORED_ROWS)

    def _usage(self, shards: Sequence[Shard], step: type, args: Mapping[str, Any]) -> Usage:
        items = [shard.to_json() for shard in shards]
        with used() as usage:
            told = run_shards(
                items,
                step,
                step_args={**args, "featurizer": self._spec},
                num_actors=self.actors(len(items)),
                num_gpus=float(bool(self._session.num_gpus)),
            )
            rows = sum(json.loads(one)["rows"] for one in told)
        assert rows == sum(shard.num_rows for shard in shards)
        return usage


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
