"""The hostile programs once more, as a user who is not root; and without namespaces, as always.

The sandbox makes no namespace, as root or otherwise: no file of it names `unshare`, `setns` or a namespace flag of
`clone` except to forbid them, and its processes are seen here to stay in those of their parent. A container that
denies namespaces therefore takes nothing from it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from operators.sandbox.pool import Limits, Sandbox

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux can become another"),
]

ROOT = Path(__file__).resolve().parents[3]
USER = 1000
ONE = "def label_function(text):\n    return 1\n"
SUITE = "tests/operators/sandbox/test_hostile.py"
MODES = 4  # screen, kernel alone, restricted, seccomp alone
REPORT = f"""
import os
from operators.sandbox.pool import Limits, Sandbox
with Sandbox([{ONE!r}], num_classes=2, limits=Limits()) as sandbox:
    assert sandbox.run(["a"], seed=0).votes.tolist() == [[1]]
    print(os.geteuid(), sandbox.level, *(sandbox.missing or ["all"]))
"""


def as_user(command: list[str], *, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command as a plain user of no other groups, who may write neither here nor at home."""
    return subprocess.run(
        command,
        user=USER,
        group=USER,
        extra_groups=[],
        cwd=ROOT,
        # The packages by name, for an interpreter that is not this environment's own.
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module")
def python() -> str:
    """An interpreter that the user can run: this one, or the system's of the same version if this is in root's home."""
    said = ""
    for candidate in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        try:
            found = as_user([candidate, "-c", "import pytest, pytest_timeout, numpy, pyarrow, operators.sandbox.pool"])
        except OSError as error:
            said += f"{candidate}: {error}. "
            continue
        if found.returncode == 0:
            return candidate
        said += f"{candidate}: {found.stdout.strip()[-200:]}. "
    pytest.skip(f"user {USER} can read no interpreter, or not this checkout: {said}")


def test_a_plain_user_is_isolated_as_well_as_root(python: str) -> None:
    """Nothing that the sandbox does needs root."""
    with Sandbox([ONE], num_classes=2, limits=Limits()) as sandbox:
        level = sandbox.level
    found = as_user([python, "-c", REPORT])
    assert found.returncode == 0, found.stdout
    user, reached, *missing = found.stdout.split()
    assert int(user) == USER
    assert int(reached) >= level, missing


@pytest.mark.timeout(900)
def test_hostile_programs_are_contained_as_a_plain_user(python: str, request: pytest.FixtureRequest) -> None:
    """Files are then protected by the kernel's layers alone, since the sandbox runs as their owner."""
    folder = Path(request.config.getoption("--hostile-dir")).resolve()
    count = len(list(folder.glob("*.py")))
    if not count or as_user(["/usr/bin/test", "-x", str(folder)]).returncode:
        pytest.skip(f"no hostile programs in {folder} that user {USER} can read")
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hostile-dir", str(folder)]
    found = as_user([python, "-m", "pytest", *options, SUITE], timeout=600)
    assert found.returncode == 0, found.stdout[-4000:]
    passed = re.search(r"(\d+) passed", found.stdout)
    assert passed, found.stdout[-4000:]
    assert int(passed[1]) == MODES * count
    assert "skipped" not in found.stdout


def test_the_sandbox_stays_in_its_parent_s_namespaces() -> None:
    """Nothing leans on what containers deny."""
    names = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
    with Sandbox([ONE], num_classes=2, limits=Limits()) as sandbox:
        for name in names:
            ours, theirs = (Path(f"/proc/{pid}/ns/{name}").readlink() for pid in ("self", sandbox._zygote.pid))
            assert theirs == ours
