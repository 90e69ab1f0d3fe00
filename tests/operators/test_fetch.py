"""Bytes of rows are found, or it is said whose fault it is that they are not: the row's, the moment's or the user's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from operators import fetch
from operators.errors import InputError
from operators.fetch import UnreachableRow, in_rounds, load
from operators.images import UnreadableRow


def test_bytes_and_paths_are_found(tmp_path: Path) -> None:
    """Bytes are used as they are; a relative path starts at the file that names it."""
    (tmp_path / "a.png").write_bytes(b"1")
    table = str(tmp_path / "rows.csv")
    assert load(b"2", "a.png", beside=table) == b"2"
    assert load(None, "a.png", beside=table) == b"1"
    assert load(None, str(tmp_path / "a.png"), beside="/elsewhere/rows.csv") == b"1"
    assert load(None, (tmp_path / "a.png").as_uri(), beside=table) == b"1"
    fsspec.filesystem("memory").pipe("/rows/b.png", b"3")
    assert load(None, "b.png", beside="memory://rows/rows.csv") == b"3"


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        (None, "none.png", "no such file"),
        (None, "memory://nowhere/none.png", "no such file"),
        (None, None, "neither"),
        (b"", None, "no bytes"),
        (None, ".", "cannot be opened"),
        (None, "a.png/b.png", "cannot be opened"),
        (None, "a" * 300, "cannot be opened .*name too long"),
        (None, "sorcery://a.png", "cannot be opened .ValueError"),
    ],
)
def test_what_is_not_there_says_so(tmp_path: Path, data: bytes | None, path: str | None, reason: str) -> None:
    """A missing file, an empty value and a path that makes no sense are faults of the row for good."""
    (tmp_path / "a.png").write_bytes(b"1")
    with pytest.raises(UnreadableRow, match=reason) as found:
        load(data, path, beside=str(tmp_path / "rows.csv"))
    assert not isinstance(found.value, UnreachableRow)


@pytest.mark.parametrize("answer", [503, 500, 429, 403, "cut off"])
def test_what_a_server_may_answer_otherwise_later(web: Any, answer: int | str) -> None:
    """Too many requests, no right and an answer that ends early are of the moment; then the image is there."""
    web.answers["/a.png"] = [answer, answer, b"xyz"]
    with pytest.raises(UnreachableRow, match="could not be reached"):
        load(None, web.url + "/a.png", beside="")
    web.answers["/a.png"] = [b"xyz"]
    assert load(None, web.url + "/a.png", beside="") == b"xyz"


@pytest.mark.parametrize(("answer", "reason"), [(404, "no such file"), (410, "cannot be opened .*410")])
def test_what_a_server_answers_for_good(web: Any, answer: int, reason: str) -> None:
    """What is not there any more is a fault of its row."""
    web.answers["/a.png"] = [answer]
    with pytest.raises(UnreadableRow, match=reason) as found:
        load(None, web.url + "/a.png", beside="")
    assert not isinstance(found.value, UnreachableRow)


def test_a_server_that_is_not_there() -> None:
    """A connection that is refused may be taken later."""
    pytest.importorskip("aiohttp")
    with pytest.raises(UnreachableRow, match="could not be reached"):
        load(None, "http://127.0.0.1:9/a.png", beside="")


class StoreError(Exception):
    """As botocore raises what S3 answers."""

    def __init__(self, code: str) -> None:
        super().__init__(f"an error occurred ({code})")
        self.response = {"Error": {"Code": code}}


class NoCredentialsError(Exception):
    """Named as botocore's."""


class Store(MemoryFileSystem):
    """An object store; `opening` is what it raises at first, `reading` when the object itself is asked for."""

    protocol = "teststore"
    opening: Exception = OSError()
    reading: Exception | None = None

    def _open(self, *_args: Any, **_options: Any) -> Any:
        raise self.opening

    def cat_file(self, *_args: Any, **_options: Any) -> Any:
        raise self.reading or self.opening


@pytest.fixture
def store() -> Iterator[type[Store]]:
    fsspec.register_implementation("teststore", Store, clobber=True)
    yield Store
    Store.opening, Store.reading = OSError(), None


def forbidden(code: str) -> PermissionError:
    error = PermissionError("Forbidden")
    error.__cause__ = StoreError(code)
    return error


@pytest.mark.parametrize(
    ("opening", "reading"),
    [
        (NoCredentialsError("unable to locate credentials"), None),
        (forbidden("ExpiredToken"), None),
        # The request for the size of an object is answered by a number alone.
        (forbidden("403"), forbidden("InvalidAccessKeyId")),
    ],
)
def test_credentials_end_the_run(store: type[Store], opening: Exception, reading: Exception | None) -> None:
    """Where a store refuses the credentials or there are none, no row is to blame."""
    store.opening, store.reading = opening, reading
    with pytest.raises(InputError, match=r"teststore:// refuses the credentials.*run again"):
        load(None, "teststore://a.png", beside="")


@pytest.mark.parametrize("error", [forbidden("AccessDenied"), OSError(24, "Too many open files"), TimeoutError()])
def test_a_right_or_room_that_is_lacking_may_pass(store: type[Store], error: Exception) -> None:
    """One object that may not be read, and a machine that is short of something, are of the moment."""
    store.opening = error
    with pytest.raises(UnreachableRow, match="could not be reached"):
        load(None, "teststore://a.png", beside="")


def test_a_driver_that_is_not_installed_ends_the_run() -> None:
    """It is named with what to install."""
    fsspec.register_implementation("absent", "no_such_driver.FileSystem", errtxt="Install absentfs", clobber=True)
    with pytest.raises(InputError, match=r"absent:// is not installed.*Install absentfs.*pip install"):
        load(None, "absent://bucket/a.png", beside="")


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "WAITS_S", (0.0, 0.01))


def failing(times: dict[int, int]) -> tuple[Callable[[Sequence[int]], Iterable[int | UnreachableRow]], list[int]]:
    """Make an attempt at numbers that fails so often for each, and a list of what it was asked for."""
    asked: list[int] = []

    def attempt(items: Sequence[int]) -> Iterator[int | UnreachableRow]:
        for item in items:
            asked.append(item)
            yield UnreachableRow("busy") if asked.count(item) <= times.get(item, 0) else 10 * item

    return attempt, asked


def test_what_could_not_be_reached_is_tried_again(short_waits: None) -> None:
    """Twice more, after all the others, and each item has one result."""
    attempt, asked = failing({1: 1, 3: 2, 4: 9})
    results = dict(in_rounds(attempt, range(6)))
    assert {place: result for place, result in results.items() if place != 4} == {0: 0, 1: 10, 2: 20, 3: 30, 5: 50}
    assert isinstance(results[4], UnreachableRow)
    assert asked == [0, 1, 2, 3, 4, 5, 1, 3, 4, 3, 4]


def test_where_nothing_is_reached_few_are_tried_again(short_waits: None) -> None:
    """An outage costs a few rows' time limits, not those of all rows once more."""
    attempt, asked = failing(dict.fromkeys(range(500), 9))
    assert len(dict(in_rounds(attempt, range(500)))) == 500
    assert len(asked) == 500 + 2 * fetch._PROBES


def test_nothing_waits_where_all_is_there() -> None:
    """Rows that are reached cost no wait."""
    start = time.perf_counter()
    assert len(list(in_rounds(failing({})[0], range(1000)))) == 1000
    assert time.perf_counter() - start < min(fetch.WAITS_S)
