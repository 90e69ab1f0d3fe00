"""Kills a process of a run at a random moment, fifty times, and compares what comes out with an undisturbed run.

Victims are the driver, Ray's workers, the sandbox's zygote and its workers, in turn, all sought among the descendants
of the process that this one started. After a killed driver the run is started again. Every file of results must have
the bytes of the clean run, and every id must stand in the labels once.

    python benchmarks/kills.py [--kills 50] [--seed 0] [--json benchmarks/results/kills.json]
"""

from __future__ import annotations

import argparse
import hashlib
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
from kills_project import write_project
from measure import ROOT, provenance
from processes import adopt_orphans, descendants, of_kind, victims, wait_until_gone

KINDS = ("driver", "ray", "zygote", "worker")

_RESULTS = ("rows", "votes", "faults", "counts", "labels", "label_model.json", "model", "predictions")
_WITH_PREDICTIONS_EVERY = 5
_MAX_TRIES = 3
_MOST_S = 300.0
_GONE_S = 180.0  # Ray's agents look for their parent now and then, and a busy machine makes that long
_LOOK_S, _SEE_S = 0.02, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill and what came of it.

    Attributes:
        number: which one, and at which try.
        kind: of `KINDS`.
        until: last stage of the run.
        at_s: seconds after the start at which the victim died.
        victim: title of its process; empty where the run ended first, which is no kill.
        exit_codes: of the run, and of the one after it where there is one.
        seconds: wall time of all of them.
        different: files of results that are not as in the clean run.
        ids_once: whether every id stands in the labels once.
        left_over: processes that were still there three minutes after the end, and were then ended.
    """

    number: str
    kind: str
    until: str
    at_s: float
    victim: str
    exit_codes: tuple[int, ...]
    seconds: float
    different: tuple[str, ...] = ()
    ids_once: bool = False
    left_over: tuple[str, ...] = ()

    @property
    def healed(self) -> bool:
        """Whether somebody was killed and all is as if nobody had been."""
        return (
            self.exit_codes[-1] == 0
            and bool(self.victim)
            and not self.different
            and self.ids_once
            and not self.left_over
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clean:
    """An undisturbed run.

    Attributes:
        seconds: wall time.
        seen: {kind: seconds after the start when the first and the last of its processes were seen}.
        digests: {file of results: SHA-256}.
        hurry: by what the times in which to kill are multiplied; below 1 after a run that was over too soon.
    """

    seconds: float
    seen: dict[str, tuple[float, float]]
    digests: dict[str, str]
    hurry: float = 1.0


def main() -> None:
    """Run and report; exit code 1 where a kill changed anything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    adopt_orphans()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory(prefix="kills") as name:
        folder = Path(name)
        write_project(folder, rows=options.rows)
        clean = {"label": run_clean(folder, "label")}
        kills: list[Kill] = []
        for number in range(options.kills):
            until = "label" if (number + 1) % _WITH_PREDICTIONS_EVERY else "run"
            if until not in clean:
                clean[until] = run_clean(folder, until)
            for again in range(_MAX_TRIES):
                run = replace(clean[until], hurry=0.5**again)
                kills.append(kill_once(folder, f"{number}_{again}", until, run, rows=options.rows, rng=rng))
                print(json.dumps(asdict(kills[-1])), flush=True)
                if kills[-1].victim:
                    break
            content = summary(kills, clean, options.rows)
            if options.json:
                options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: content[key] for key in ("kills", "healed", "by_kind")}, indent=1))
    sys.exit(0 if all(kill.healed for kill in kills if kill.victim) else 1)


def summary(kills: list[Kill], clean: dict[str, Clean], rows: int) -> dict[str, object]:
    """What the file of results holds."""
    return {
        **provenance(packages=["ray", "pyarrow"]),
        "rows": rows,
        "kills": sum(bool(kill.victim) for kill in kills),
        "missed": sum(not kill.victim for kill in kills),
        "same_bytes": sum(kill.same_bytes for kill in kills),
        "healed": sum(kill.healed for kill in kills),
        "by_kind": dict(Counter(kill.kind for kill in kills if kill.victim)),
        "clean_seconds": {until: round(run.seconds, 1) for until, run in clean.items()},
        "each": [asdict(kill) for kill in kills],
    }


def start(folder: Path, out: str, until: str) -> subprocess.Popen[bytes]:
    """Start a run in a process of its own, which starts a Ray of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
    environment.pop("RAY_ADDRESS", None)
    with (folder / f"{out}.log").open("ab") as log:
        command = [sys.executable, "-m", "engine", until, "task.yaml", "--out", out]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def run_clean(folder: Path, until: str) -> Clean:
    """Do an undisturbed run and see when there is what."""
    began = time.monotonic()
    process = start(folder, f"clean_{until}", until)
    seen: dict[str, tuple[float, float]] = {}
    while process.poll() is None:
        now = time.monotonic() - began
        processes = descendants(process.pid)
        for kind in KINDS[1:]:
            if of_kind(processes, kind):
                seen[kind] = (seen.get(kind, (now, now))[0], now)
        time.sleep(_SEE_S)
    seconds = time.monotonic() - began
    if process.returncode != 0 and not ray_started(folder, f"clean_{until}"):
        wait_until_gone(seconds=_GONE_S)
        return run_clean(folder, until)
    if process.returncode != 0:
        sys.exit(f"the clean run failed:\n{(folder / f'clean_{until}.log').read_text()}")
    wait_until_gone(seconds=_GONE_S)
    seen["driver"] = (1.0, seconds)
    return Clean(seconds=seconds, seen=seen, digests=digests(folder / f"clean_{until}"))


def kill_once(folder: Path, number: int, until: str, clean: Clean, *, rows: int, rng: np.random.Generator) -> Kill:
    """Do one run, kill one process of it, have it finish and compare."""
    kind, out = KINDS[int(number.partition("_")[0]) % len(KINDS)], f"run_{number}"
    first, last = clean.seen[kind]
    delay, choice = float(rng.uniform(0, (last - first) * clean.hurry)), int(rng.integers(1 << 30))
    began = time.monotonic()
    process = start(folder, out, until)
    died, victim = hit(process, kind, delay=delay, choice=choice, clock=lambda: time.monotonic() - began)
    codes = [ended(process)]
    left = wait_until_gone(seconds=_GONE_S)
    while codes[-1] and len(codes) < 4 and ((len(codes) == 1 and kind == "driver") or not ray_started(folder, out)):
        codes.append(ended(start(folder, out, until)))
        left += wait_until_gone(seconds=_GONE_S)
    seconds = time.monotonic() - began
    kill = Kill(
        number=number, kind=kind, until=until, at_s=round(died, 2), victim=victim[:80], seconds=round(seconds, 1),
        exit_codes=tuple(codes), left_over=tuple(p.title[:80] for p in left),
    )  # fmt: skip
    if codes[-1] != 0:
        print((folder / f"{out}.log").read_text()[-3000:], file=sys.stderr)
        return kill
    found = digests(folder / out)
    names = sorted(found.keys() | clean.digests.keys())
    ids = pq.read_table(folder / out / "labels", columns=["id"]).column("id")
    return replace(
        kill,
        different=tuple(name for name in names if found.get(name) != clean.digests.get(name)),
        ids_once=len(ids) == rows == len(pc.unique(ids)),
    )


def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a run; one that hangs is killed, which its exit code says."""
    try:
        return process.wait(_MOST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def ray_started(folder: Path, out: str) -> bool:
    """Whether Ray started in time at the last try, of which Ray gives a busy machine half a minute."""
    return "timed out during startup" not in (folder / f"{out}.log").read_text()[-1500:]


def hit(
    process: subprocess.Popen[bytes], kind: str, *, delay: float, choice: int, clock: Callable[[], float]
) -> tuple[float, str]:
    """Kill a process of a kind so long after the first was there, or the next that is; says when and whom."""
    at: float | None = None
    while process.poll() is None:
        if kind == "driver" and clock() >= delay:
            process.kill()
            return clock(), "driver"
        if kind != "driver" and (at is None or clock() >= at) and (found := victims(process.pid, kind)):
            at = at or clock() + delay
            if clock() >= at:
                victim = found[choice % len(found)]
                os.kill(victim.pid, signal.SIGKILL)
                return clock(), victim.title
        time.sleep(_LOOK_S)
    return clock(), ""


def digests(run: Path) -> dict[str, str]:
    """Take the SHA-256 of every file of results."""
    paths = [path for name in _RESULTS for path in [run / name, *sorted((run / name).rglob("*"))] if path.is_file()]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


if __name__ == "__main__":
    main()
