"""Every item comes back once, or its error does; nothing stays behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from operators.attempts import MOST_DEATHS
from operators.errors import InputError
from operators.stream import StepError, run_shards
from operators.trouble import About

pytestmark = [pytest.mark.ray, pytest.mark.slow]


class _Echo:
    """Gives back its item; what it does before that is said by the item."""

    def __init__(self, *, folder: str, pause_s: float = 0.0) -> None:
        self._folder = Path(folder)
        self._pause_s = pause_s
        (self._folder / f"pid-{os.getpid()}").touch()

    def __call__(self, item: str) -> bytes:
        time.sleep(self._pause_s)
        if item == "bad":
            raise InputError("corpus.csv, row 7: no such thing")
        if item == "broken":
            raise ZeroDivisionError("of what only a programmer can mend")
        if item == "die once" and not (self._folder / "died").exists():
            (self._folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{item}!".encode()


class _Unmade:
    def __init__(self) -> None:
        raise InputError("no room for the model")

    def __call__(self, item: str) -> bytes:
        return b""


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    # The operators do not know the cluster package, but their tests may.
    from cluster.session import connect

    with connect(num_cpus=2):
        yield


def _run(tmp_path: Path, items: list[str], *, pause_s: float = 0.0, **options: object) -> Iterator[bytes]:
    arguments = {"folder": str(tmp_path), "pause_s": pause_s}
    return run_shards(items, _Echo, step_args=arguments, num_actors=2, **options)


def _wait_until_gone(tmp_path: Path) -> None:
    """Wait until no actor that left its process id in the folder lives."""
    pids = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
    assert pids
    deadline = time.monotonic() + 30
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < deadline, "an actor outlives the run"
        time.sleep(0.1)


def _lives(pid: int) -> bool:
    # The number may have gone to another process, so the name of the actor's has to be there too.
    try:
        return "ray::MapWorker" in Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_every_item_comes_back_once(tmp_path):
    """Two hundred items on two actors give two hundred results, each handed to the callback too."""
    items = [str(i) for i in range(200)]
    seen: list[bytes] = []
    results = list(_run(tmp_path, items, on_result=seen.append))
    assert sorted(results) == sorted(f"{item}!".encode() for item in items)
    assert seen == results
    assert len(list(tmp_path.glob("pid-*"))) == 2
    _wait_until_gone(tmp_path)


def test_remote_calls_do_as_actors_do(tmp_path):
    """Every item once, errors as themselves, and a worker that dies in the middle is replaced."""
    items = [str(i) for i in range(60)] + ["die once"]
    results = list(_run(tmp_path, items, stateful=False))
    assert sorted(results) == sorted(f"{item}!".encode() for item in items)
    with pytest.raises(InputError, match=r"^corpus.csv, row 7: no such thing$"):
        list(_run(tmp_path, ["a", "bad"], stateful=False))
    with pytest.raises(InputError, match="no room for the model"):
        list(run_shards(["a"], _Unmade, step_args={}, num_actors=1, stateful=False))


def test_remote_calls_make_the_step_anew_for_each_execution(tmp_path):
    """Workers are kept, and what they made for another execution is not used again."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for folder in ("one", "two"):
        list(_run(tmp_path / folder, [str(i) for i in range(20)], stateful=False))
    made = [{path.name for path in (tmp_path / folder).glob("pid-*")} for folder in ("one", "two")]
    assert all(1 <= len(pids) <= 2 for pids in made)
    assert made[0] & made[1], "no worker was kept"


def test_no_items_and_one_item(tmp_path):
    """Nothing to do starts nothing; one item takes one actor, however many are allowed."""
    assert list(_run(tmp_path, [])) == []
    assert list(tmp_path.iterdir()) == []
    assert list(_run(tmp_path, ["a"])) == [b"a!"]
    assert len(list(tmp_path.glob("pid-*"))) == 1


def test_an_error_comes_out_as_itself(tmp_path):
    """What a step raises on purpose has its type and its message in the driver, and ends the run."""
    with pytest.raises(InputError, match=r"^corpus.csv, row 7: no such thing$"):
        list(_run(tmp_path, ["a", "bad", *"b" * 50], pause_s=0.1))
    _wait_until_gone(tmp_path)


def test_other_errors_bring_their_traceback(tmp_path):
    """A defect of a step is told with the line that raised it."""
    with pytest.raises(StepError, match=r"(?s)line \d+, in __call__.*ZeroDivisionError: of what only"):
        list(_run(tmp_path, ["broken"]))


def test_an_error_in_making_the_step():
    """A step that cannot be made says so, once and not until a time limit."""
    with pytest.raises(InputError, match="no room for the model"):
        list(run_shards(["a"], _Unmade, step_args={}, num_actors=1))


def test_a_killed_actor_loses_nothing(tmp_path):
    """An actor killed in the middle of its item is replaced and the item done again."""
    items = [str(i) for i in range(40)]
    items.insert(10, "die once")
    results = list(_run(tmp_path, items, pause_s=0.02))
    assert sorted(results) == sorted(f"{item}!".encode() for item in items)
    assert (tmp_path / "died").exists()


@pytest.mark.parametrize("stateful", [True, False])
def test_an_item_that_always_kills_ends_the_run(tmp_path, stateful):
    """An item that kills its worker each time is given up after a few, by name and long before the time limit."""
    about = About(stage="apply", name_of=lambda item: f"file {item}.csv")
    with pytest.raises(StepError, match=rf"^apply: file die.csv has killed its worker {MOST_DEATHS} times"):
        list(_run(tmp_path, ["a", "die", "b"], stateful=stateful, about=about))


def test_a_cluster_without_room_says_so(tmp_path):
    """Workers that the cluster cannot place are given up after the time limit: who wants what, and what there is."""
    about = About(stage="label", situation=lambda: "0 of 2 CPUs are free")
    message = "^label: no item finished within 3 s: 0 of 1 workers were placed, each with 64 CPUs; 0 of 2 CPUs are free"
    with pytest.raises(StepError, match=message):
        list(_run(tmp_path, ["a"], num_cpus=64, no_progress_timeout_s=3, about=about))


def test_an_item_that_hangs_is_named(tmp_path):
    """The items under way are told where nothing comes; a busy machine takes long to place a worker."""
    about = About(stage="apply", name_of=lambda item: f"file {item}.csv")
    message = r"1 of 1 workers were placed, .*Begun and not ended: file slow.csv \(attempt 1, \d+ s ago\)"
    with pytest.raises(StepError, match=message):
        list(_run(tmp_path, ["slow"], pause_s=90, no_progress_timeout_s=25, about=about))


def test_it_is_told_which_item_is_done_and_how_long_it_took(tmp_path):
    """Each item comes once, with the seconds of its worker."""
    done: dict[str, float] = {}
    items = [str(i) for i in range(6)]
    list(_run(tmp_path, items, pause_s=0.2, on_done=lambda item, seconds: done.update({item: seconds})))
    assert sorted(done) == items
    assert all(0.2 <= seconds < 5 for seconds in done.values())


def test_leaving_early_ends_the_actors(tmp_path):
    """A driver that stops asking leaves no actor at work."""
    results = _run(tmp_path, [str(i) for i in range(1000)], pause_s=0.05)
    next(results)
    results.close()
    _wait_until_gone(tmp_path)


def test_ctrl_c_ends_the_actors(tmp_path):
    """An interrupt while the driver waits comes out as KeyboardInterrupt and leaves no actor at work."""
    results = _run(tmp_path, [str(i) for i in range(1000)], pause_s=0.2)
    next(results)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        list(results)
    _wait_until_gone(tmp_path)


def test_the_callers_settings_stay(tmp_path):
    """Ray Data's settings in this process are after a run what they were before."""
    import ray

    before = ray.data.DataContext.get_current().execution_no_progress_timeout_s
    list(_run(tmp_path, ["a"]))
    assert ray.data.DataContext.get_current().execution_no_progress_timeout_s == before
