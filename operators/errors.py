"""What can go wrong on a worker that a user can mend.

These live beside the operators because workers raise them and may not import the engine; the command line
treats `OperatorError` and `engine.errors.EngineError` alike.
"""

from __future__ import annotations


class OperatorError(Exception):
    """Root of the errors raised by operators."""


class InputError(OperatorError):
    """The corpus cannot be read as asked; the message names the file, the row or the column."""


class ChangedError(InputError):
    """A file is not the one that was planned; nothing is wrong with it, and running again reads it as it is now."""


class SandboxError(OperatorError):
    """The sandbox itself failed; a failing program is a fault, never this."""
