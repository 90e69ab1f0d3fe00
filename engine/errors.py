"""Every error that the engine raises on purpose, and what each means for the exit code.

EngineError             1  something went wrong in here
├── ConfigError         2  task file, command line or data: the message says where
├── BudgetReached       3  the next request could pass the budget
├── ProgramRejected     2  a labeling program cannot be used, with the reasons
├── LLMError            1  the language model gave no answer
│   ├── LLMRefused      1  the endpoint refuses this one request, others may go through
│   └── LLMUnavailable  1  worth another try: timeout, rate limit, server error
└── LabelModelError     1  the votes do not determine a label model
    ├── NotIdentifiable 1
    └── SolverFailed    1
"""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """Root of the engine's errors."""

    exit_code: ClassVar[int] = 1


class ConfigError(EngineError):
    """The task file, the command line or the data is wrong; the message says where and what to do."""

    exit_code = 2


class BudgetReached(EngineError):
    """A request was not sent because it could have passed the budget."""

    exit_code = 3


class ProgramRejected(EngineError):
    """A program cannot be used.

    Attributes:
        reasons: why, one sentence each; also what a repair prompt would say.
    """

    exit_code = 2

    def __init__(self, name: str, reasons: tuple[str, ...]) -> None:
        self.name = name
        self.reasons = reasons
        super().__init__(f"program {name} is rejected: {'; '.join(reasons)}")


class LLMError(EngineError):
    """The language model gave no usable answer."""

    retryable: ClassVar[bool] = False


class LLMRefused(LLMError):
    """The endpoint refuses this request with an error of the client's; another request may be accepted."""


class LLMUnavailable(LLMError):
    """The language model could not be reached now; the same request may go through later."""

    retryable = True


class LabelModelError(EngineError):
    """No label model could be made from these votes."""


class NotIdentifiable(LabelModelError):
    """The votes do not determine the label model; the message says what to add."""


class SolverFailed(LabelModelError):
    """The convex solver ended without an answer; the message names its status."""
