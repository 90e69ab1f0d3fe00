"""The encoded bytes of a row, from the corpus or from where its path leads, and how hard that is tried.

What can be read and is no image is a fault for good. What could not be reached may be there in a minute or in the next
run: it is told apart, tried again within the run, and marked so that a later run tries it once more. What no row is to
blame for, a missing driver or refused credentials, ends the run.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, TypeVar

import fsspec.core

from operators.errors import InputError
from operators.images import UnreadableRow
from operators.storage import ATOMIC_PUT

MAX_FILE_BYTES = 256 << 20
"""Of an encoded image; more would be read for nothing, as no picture below `MAX_PIXELS` needs it."""

WAITS_S = (1.0, 4.0)
"""Before the second and the third time that rows are tried; of a shard, not of a row."""

_PROBES = 16
"""Rows that are tried again first. Where none of them is reached the others are not tried: each may take a timeout."""

_CONNECT_S, _SILENT_S = 10.0, 30.0
"""For a web server to take a connection, and between two pieces of its answer."""

_PACKAGES = {"http": "aiohttp", "https": "aiohttp", **ATOMIC_PUT}
"""With the driver of each protocol."""

_LASTING = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_LASTING_NUMBERS = (errno.ENAMETOOLONG, errno.ELOOP)
_MAY_PASS = (401, 403, 407, 408, 425, 429)
"""Answers of web servers below 500 that may be other ones later: no right, too slow, too often."""

_NO_CREDENTIALS = frozenset(
    (
        # botocore, google.auth, azure: by name, as none of them need be installed.
        *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"),
        *("TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"),
        *("DefaultCredentialsError", "RefreshError"),
        *("ClientAuthenticationError", "CredentialUnavailableError"),
    )
)
_REFUSED = frozenset(
    ("ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired")
)
"""Codes of S3. That a right to one object is lacking (AccessDenied) is a fault of its row."""

_T = TypeVar("_T")
_R = TypeVar("_R")


class UnreachableRow(UnreadableRow):
    """The bytes of a row could not be reached this time: network, server, time limit or a right that is lacking."""


def load(data: bytes | None, path: str | None, *, beside: str) -> bytes:
    """Return the encoded bytes of an image; tried once.

    Args:
        data: the bytes, where the corpus holds them.
        path: else the file or URL with them; a relative one starts from the folder of `beside`.
        beside: the file that names the path.

    Raises:
        UnreadableRow: there is neither, or the file is missing, empty or too large.
        UnreachableRow: the file could not be reached.
        InputError: its driver is not installed, or the store refuses the credentials or finds none.
    """
    if data is None:
        if not path:
            raise UnreadableRow("no image: neither bytes nor a path is given")
        data = _fetched(place_of(path, beside=beside))
    if not data:
        raise UnreadableRow("the image has no bytes")
    return data


def place_of(path: str, *, beside: str) -> str:
    """Return where an image is: a relative path starts from the folder of the file that names it."""
    if "://" in path or path.startswith("/"):
        return path
    if "://" not in beside:
        return str(PurePosixPath(beside).parent / path)
    return f"{beside.rpartition('/')[0]}/{path}"


def in_rounds(
    attempt: Callable[[Sequence[_T]], Iterable[_R | UnreachableRow]], items: Sequence[_T]
) -> Iterator[tuple[int, _R | UnreachableRow]]:
    """Attempt items, and those that could not be reached again after each of `WAITS_S`.

    Args:
        attempt: gives the result of each item, in their order.
        items: of a shard.

    Returns:
        (place among the items, result) of each item once, those that were tried again at the end.
    """
    missed: dict[int, UnreachableRow] = {}
    for place, result in enumerate(attempt(items)):
        if isinstance(result, UnreachableRow):
            missed[place] = result
        else:
            yield place, result
    for wait_s in WAITS_S:
        if not missed:
            return
        time.sleep(wait_s)
        places = list(missed)
        for part in (places[:_PROBES], places[_PROBES:]):
            for place, result in zip(part, attempt([items[place] for place in part]), strict=True):
                if isinstance(result, UnreachableRow):
                    missed[place] = result
                else:
                    del missed[place]
                    yield place, result
            if len(missed) == len(places):
                break
    yield from missed.items()


def _fetched(path: str) -> bytes:
    try:
        system, inner = fsspec.core.url_to_fs(path, **_options(path))
        with system.open(inner, "rb") as file:
            data: bytes = file.read(MAX_FILE_BYTES + 1)
    except ImportError as error:
        raise _no_driver(path, error) from error
    except Exception as error:
        # Drivers raise errors of their own libraries.
        raise _reason(path, error) from error
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableRow(f"its file is larger than {MAX_FILE_BYTES >> 20} MB")
    return data


def _options(path: str) -> dict[str, Any]:
    """Return options of the driver: the waits of the one for the web are minutes unless told."""
    if not path.startswith(("http://", "https://")):
        return {}
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENT_S)
    return {"client_kwargs": {"timeout": timeout}}


def _no_driver(path: str, error: ImportError) -> InputError:
    protocol = path.partition("://")[0]
    package = _PACKAGES.get(protocol, f"the package with the fsspec driver for {protocol}://")
    return InputError(
        f"image {path}: the driver for {protocol}:// is not installed, on this node at least ({error}); on all nodes: "
        f"pip install {package}"
    )


def _reason(path: str, error: Exception) -> UnreadableRow | InputError:
    """Tell what is wrong with a row from what may pass, and both from what no row is to blame for."""
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception) and path.startswith("http"):
        # fsspec says so of whatever a web server answers or does not.
        error = error.__cause__
    if _code(error) in ("400", "403"):
        # S3 says why in the body of its answer, and the answer to the request for the size has none.
        error = _said_of_first_byte(path) or error
    told = f"{type(error).__name__}: {str(error)[:160]}"
    if _NO_CREDENTIALS & {kind.__name__ for kind in type(error).__mro__} or _code(error) in _REFUSED:
        protocol = path.partition("://")[0]
        return InputError(
            f"image {path}: {protocol}:// refuses the credentials, or its driver finds none ({told}); set them on all "
            "nodes where the driver looks for them, and run again"
        )
    status = getattr(error, "status", None)
    if isinstance(error, FileNotFoundError) or status == 404:
        return UnreadableRow("no such file")
    if isinstance(status, int) and status < 500 and status not in _MAY_PASS:
        return UnreadableRow(f"cannot be opened ({told})")
    # A URL that makes no sense is a ValueError; so is a certificate that a server has let expire, as an OSError.
    no_sense = isinstance(error, ValueError) and not isinstance(error, OSError)
    if isinstance(error, _LASTING) or getattr(error, "errno", None) in _LASTING_NUMBERS or no_sense:
        return UnreadableRow(f"cannot be opened ({told})")
    return UnreachableRow(f"could not be reached ({told})")


def _code(error: BaseException) -> str:
    """Return what S3 calls an error, "" for those of others."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _said_of_first_byte(path: str) -> Exception | None:
    try:
        system, inner = fsspec.core.url_to_fs(path)
        system.cat_file(inner, start=0, end=1)
    except Exception as error:
        return error
    return None
