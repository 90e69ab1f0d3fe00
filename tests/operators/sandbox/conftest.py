"""Running a few programs in a sandbox of their own, under limits that are quick to reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from operators.sandbox.pool import Limits, Outcome, Sandbox

Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def quick() -> Limits:
    """Limits that a test need not wait for."""
    return Limits(row_timeout_s=0.06, row_kill_s=0.3, blocked_s=2.0, load_timeout_s=0.5)


@pytest.fixture(scope="session")
def run(quick: Limits) -> Run:
    """Run programs over texts; takes sources, texts, and limits other than the quick ones."""

    def function(sources: Sequence[str], texts: Sequence[str | None], *, limits: Limits = quick) -> Outcome:
        with Sandbox(sources, num_classes=2, limits=limits) as sandbox:
            return sandbox.run(texts, seed=0)

    return function
