"""Kills a process of a run at a random moment, fifty times, and compares what comes out with an undisturbed run.

Victims are the driver, Ray's workers at a step, the sandbox's zygote and its workers, in turn, all sought among the
descendants of this process. After a killed driver the run is started again at once. Every file of results must have
the bytes of the clean run, and every id must stand in the labels once. Most runs share a node, every tenth starts a
Ray of its own and goes on to predictions.

    python benchmarks/kills.py [--kills 50] [--seed 0] [--json benchmarks/results/kills.json]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from kills_project import TASKS, write_project
from kills_runs import Run, ended, node
from measure import provenance
from processes import adopt_orphans, descendants, left_over, of_kind

KINDS = ("driver", "ray", "zygote", "worker")

_WHOLE_EVERY = 10
_MAX_TRIES = 3
_GONE_S = 60.0
_LOOK_S, _SEE_S = 0.02, 0.2
_FIRST_S = 1.0  # before it a driver has done nothing but imports


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill and what came of it.

    Attributes:
        number: which one.
        again: how often the run had ended before its victim was found.
        kind: of `KINDS`.
        task: of `kills_project.TASKS`.
        until: command of the run.
        own_ray: whether the run started a Ray of its own.
        at_s: seconds after the start at which the victim died.
        victim: title of its process; empty where the run ended first, which is no kill.
        exit_codes: of the run, and of those after it where there are some.
        seconds: wall time of all of them.
        different: files of results that are not as in the clean run.
        ids_once: whether every id stands in the labels once.
        left_over: processes of ours that were still there a minute after the end, and were then ended.
        left_by_ray: Ray's agents of which the same holds.
    """

    number: int
    again: int
    kind: str
    task: str
    until: str
    own_ray: bool
    at_s: float
    victim: str
    exit_codes: tuple[int, ...]
    seconds: float
    different: tuple[str, ...] = ()
    ids_once: bool = False
    left_over: tuple[str, ...] = ()
    left_by_ray: tuple[str, ...] = ()

    @property
    def same_bytes(self) -> bool:
        """Whether the results are as if nobody had been killed."""
        return self.exit_codes[-1] == 0 and not self.different and self.ids_once

    @property
    def healed(self) -> bool:
        """Whether somebody was killed, the results are the same and nothing of ours is left."""
        return bool(self.victim) and self.same_bytes and not self.left_over


@dataclass(frozen=True, slots=True, kw_only=True)
class Clean:
    """An undisturbed run.

    Attributes:
        seconds: wall time.
        seen_s: {kind: seconds from the first of its processes to the last}.
        digests: {file of results: SHA-256}.
    """

    seconds: float
    seen_s: dict[str, float]
    digests: dict[str, str]


def main() -> None:
    """Run and report; exit code 1 where a kill changed anything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    adopt_orphans()
    made_by = provenance(packages=["ray", "pyarrow"])
    rng = np.random.default_rng(options.seed)
    kills: list[Kill] = []
    clean: dict[tuple[str, str], Clean] = {}
    with tempfile.TemporaryDirectory(prefix="kills") as name, node() as (address, node_pid):
        folder = Path(name)
        write_project(folder, rows=options.rows)
        for number in range(options.kills):
            own_ray = (number + 1) % _WHOLE_EVERY == 0
            task, until = TASKS[number // len(KINDS) % len(TASKS)], "run" if own_ray else "label"
            if (task, until) not in clean:
                run = Run(folder=folder, task=task, until=until, out=f"clean_{task}_{until}", address=address)
                clean[task, until] = run_clean(run, node_pid)
            for again in range(_MAX_TRIES):
                run = Run(
                    folder=folder, task=task, until=until, out=f"run_{number}_{again}",
                    address=None if own_ray else address,
                )  # fmt: skip
                kind = KINDS[(number + number // _WHOLE_EVERY) % len(KINDS)]
                calm = clean[task, until]
                kill = kill_once(run, kind, calm, rows=options.rows, rng=rng, hurry=0.5**again, node_pid=node_pid)
                kills.append(replace(kill, number=number, again=again))
                content = {**made_by, "asked": options.kills, **summary(kills, clean, options.rows)}
                if options.json:
                    options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
                print(json.dumps(asdict(kills[-1])), flush=True)
                if kills[-1].victim:
                    break
    print(json.dumps({key: content[key] for key in ("kills", "same_bytes", "healed", "by_kind")}, indent=1))
    sys.exit(0 if all(kill.healed for kill in kills if kill.victim) else 1)


def summary(kills: list[Kill], clean: dict[tuple[str, str], Clean], rows: int) -> dict[str, object]:
    """What the file of results holds beside what made it."""
    hit = [kill for kill in kills if kill.victim]
    return {
        "rows": rows,
        "kills": len(hit),
        "same_bytes": sum(kill.same_bytes for kill in hit),
        "healed": sum(kill.healed for kill in hit),
        "by_kind": dict(Counter(kill.kind for kill in hit)),
        "with_own_ray": sum(kill.own_ray for kill in hit),
        "ours_left": sum(bool(kill.left_over) for kill in hit),
        "rays_left": sum(bool(kill.left_by_ray) for kill in hit),
        "ended_before_the_kill": len(kills) - len(hit),
        "clean_seconds": {" ".join(what): round(run.seconds, 1) for what, run in clean.items()},
        "each": [asdict(kill) for kill in kills],
    }


def run_clean(run: Run, node_pid: int) -> Clean:
    """Do an undisturbed run and see when there is what."""
    began = time.monotonic()
    process = run.start()
    seen: dict[str, tuple[float, float]] = {}
    while process.poll() is None:
        now = time.monotonic() - began
        processes = descendants(os.getpid())
        for kind in KINDS[1:]:
            if of_kind(processes, kind):
                seen[kind] = (seen.get(kind, (now, now))[0], now)
        time.sleep(_SEE_S)
    seconds = time.monotonic() - began
    if process.returncode != 0:
        sys.exit(f"the clean run failed:\n{run.log.read_text()}")
    left_over(seconds=_GONE_S, node=node_pid)
    seen_s = {"driver": seconds - _FIRST_S, **{kind: last - first for kind, (first, last) in seen.items()}}
    return Clean(seconds=seconds, seen_s=seen_s, digests=run.digests())


def kill_once(
    run: Run, kind: str, clean: Clean, *, rows: int, rng: np.random.Generator, hurry: float, node_pid: int
) -> Kill:
    """Do one run, kill one process of it, have it finish and compare; its number is the caller's to give."""
    delay, choice = float(rng.uniform(0, clean.seen_s[kind] * hurry)), int(rng.integers(1 << 30))
    began = time.monotonic()
    process = run.start()
    died, victim = hit(process, kind, delay=delay, choice=choice, clock=lambda: time.monotonic() - began)
    codes = [ended(process)]
    while codes[-1] and len(codes) < 4 and ((len(codes) == 1 and kind == "driver") or not run.ray_started()):
        codes.append(ended(run.start()))
    seconds = time.monotonic() - began
    ours, rays = left_over(seconds=_GONE_S, node=node_pid)
    kill = Kill(
        number=0, again=0, kind=kind, task=run.task, until=run.until, own_ray=run.address is None,
        at_s=round(died, 2), victim=_without_paths(victim), exit_codes=tuple(codes), seconds=round(seconds, 1),
        left_over=tuple(p.title[:80] for p in ours), left_by_ray=tuple(p.title[:80] for p in rays),
    )  # fmt: skip
    if codes[-1] != 0:
        print(run.log.read_text()[-3000:], file=sys.stderr)
        return kill
    found = run.digests()
    names = sorted(found.keys() | clean.digests.keys())
    ids = pq.read_table(run.folder / run.out / "labels", columns=["id"]).column("id")
    return replace(
        kill,
        different=tuple(name for name in names if found.get(name) != clean.digests.get(name)),
        ids_once=len(ids) == rows == len(pc.unique(ids)),
    )


def hit(
    process: subprocess.Popen[bytes], kind: str, *, delay: float, choice: int, clock: Callable[[], float]
) -> tuple[float, str]:
    """Kill a process of a kind so long after the first was there, or the next that is; says when and whom."""
    at = delay + _FIRST_S if kind == "driver" else None
    while process.poll() is None:
        if kind == "driver" and at is not None and clock() >= at:
            process.kill()
            return clock(), "driver"
        if kind != "driver" and (at is None or clock() >= at):
            found = of_kind(descendants(os.getpid()), kind)
            at = clock() + delay if found and at is None else at
            if found and at is not None and clock() >= at:
                victim = found[choice % len(found)]
                os.kill(victim.pid, signal.SIGKILL)
                return clock(), victim.title
        time.sleep(_LOOK_S)
    return clock(), ""


def _without_paths(title: str) -> str:
    """Shorten the title of a process, and take this machine's paths from it."""
    return title.replace(sys.executable, "python").replace(f"{Path(__file__).resolve().parents[1]}/", "")[:80]


if __name__ == "__main__":
    main()
