"""The baseline of programs on raw pixels: the user's own, run over the test images and counted by majority vote.

Programs that see colours alone tend to label by the background; the paper has them as its first baseline for images.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import ConfigError
from engine.stages.context import Context
from engine.stages.inputs import Input, Inputs
from engine.stages.trials import limits_of
from engine.storage import keep_only
from engine.store import digest_of
from engine.synthesis.programs import Program, load_folder
from operators.apply import actor_memory_bytes
from operators.pixels import PixelNotes, PixelShard, pixels_path, read_notes
from operators.storage import Folder, folder_of, map_files, names_in

_NAMED = 5

_AGAIN = "images that could not be reached are tried again"


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelVotes:
    """Votes of programs on raw pixels.

    Attributes:
        paths: {path of scored rows: file with the votes on these rows, a column a program}.
        names: of the programs whose votes count.
    """

    paths: Mapping[str, Folder]
    names: tuple[str, ...]


def pixel_votes(ctx: Context) -> PixelVotes | None:
    """Let the programs of `scoring.pixel_programs` vote on the test images; None where the task names none.

    Raises:
        ConfigError: there is not one program that can be used.
        InputError: an image shard cannot be read.
    """
    start, task, source = time.perf_counter(), ctx.task, ctx.images
    if task.scoring.pixel_programs is None or source is None:
        return None
    programs = _programs(ctx, Path(task.scoring.pixel_programs))
    limits = limits_of(task)
    side, scored = task.scoring.pixel_side, [folder_of(path).name for path in task.data.source]
    how = [limits.row_timeout_s, limits.memory_bytes, task.num_classes]
    name = digest_of("pixels", 1, scored, [program.digest for program in programs], side, how)
    inputs = Inputs(
        stage="pixels",
        version=(1,),
        parts=(
            Input(name="the images", value=scored, made_by=("score",)),
            Input(
                name="the programs on pixels",
                value=name,
                kind="program",
                things={program.name: program.digest for program in programs},
                settings={"`scoring.pixel_side`": side},
            ),
        ),
    )
    # A scored file is named by the shard of images that it came from, and by its own digest.
    parts = {path: folder_of(path).name.removesuffix(".parquet").split("-") for path in task.data.source}
    paths = {path: pixels_path(ctx.run.shards, key, name) for path, (key, _) in parts.items()}
    present = names_in(ctx.run.shards / "pixels")
    there = [path for path in task.data.source if paths[path].name in present]
    noted = dict(zip(there, map_files(read_notes, [paths[path] for path in there]), strict=True))
    again = [path for path in there if noted[path].unreached]
    missing = [path for path in task.data.source if path not in noted] + again
    record = ctx.reuse(inputs, complete=not missing, lacking=_AGAIN if again else "")
    if record is None:
        args = {
            "folder": str(ctx.run.shards),
            "column": source.column,
            "id_column": source.id_column,
            "scored": next(iter(parts.values()))[1],
            "side": side,
            "names": [program.name for program in programs],
            "sources": [program.source for program in programs],
            "num_classes": task.num_classes,
            "limits": limits,
            "digest": name,
        }
        shards = [source.shards[parts[path][0]] for path in missing]
        longest = max((shard.num_rows for shard in shards), default=0) * len(programs) * limits.row_timeout_s
        for _ in ctx.stream(
            "pixels",
            [shard.to_json() for shard in shards],
            PixelShard,
            step_args=args,
            slowest_item_s=longest,
            stateful=True,
            memory_bytes=actor_memory_bytes(limits, num_programs=len(programs)),
        ):
            pass
        keep_only(ctx.run.shards / "pixels", paths.values())
        notes = sum(map_files(read_notes, list(paths.values())), start=PixelNotes())
        scope = f"{len(missing)} of {len(paths)} shards"
        rows = sum(shard.num_rows for shard in shards)
        record = ctx.finish(inputs, since=start, rows=rows, result=asdict(notes), scope=scope)
    return PixelVotes(paths=paths, names=_usable(ctx, programs, PixelNotes(**record.result)))


def _programs(ctx: Context, folder: Path) -> list[Program]:
    found, unusable = load_folder(folder)
    for error in unusable:
        ctx.warn(f"pixel program {error.name} is rejected: {'; '.join(error.reasons)}")
    programs = [program for program in found if program.disabled is None]
    if not programs:
        raise ConfigError(f"{folder}: not one program of `scoring.pixel_programs` can be used")
    return programs


def _usable(ctx: Context, programs: list[Program], notes: PixelNotes) -> tuple[str, ...]:
    """Leave out what was stopped on any shard, as for the programs that label; what fails on some rows is told."""
    if notes.unreached:
        ctx.warn(
            f"{notes.unreached} images have scores and could not be reached for the programs on pixels, which have no "
            "votes there; run again to have them tried again"
        )
    for name, why in notes.quarantined.items():
        ctx.warn(f"pixel program {name} is quarantined and its votes are not used: {why}")
    for name, cells in list(notes.faults.items())[:_NAMED]:
        if name not in notes.quarantined:
            ctx.warn(f"pixel program {name} fails on {cells} images; the first time: {notes.messages.get(name, '')}")
    usable = tuple(program.name for program in programs if program.name not in notes.quarantined)
    if not usable:
        raise ConfigError("every program of `scoring.pixel_programs` was quarantined; edit them, or leave them out")
    return usable
