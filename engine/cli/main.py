"""The entry point: the commands together, and what each error means for the exit code.

Nothing heavy is imported before a command is chosen, so that `alchemist --help` answers at once.
"""

from __future__ import annotations

import signal
import sys

import typer

from cluster.errors import ClusterError
from engine.cli import programs, runs, tools
from engine.errors import ConfigError, EngineError
from operators.errors import InputError, OperatorError

INTERRUPTED = 130

app = typer.Typer(
    name="alchemist",
    help="Label a corpus with programs that a language model writes, without gold labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
tools.register(app)
runs.register(app)
programs.register(app)


def main() -> None:
    """Run the command line; errors that a user can mend come without a traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # typer turns Ctrl-C into this before we see it
            raise KeyboardInterrupt
    except (EngineError, OperatorError, ClusterError) as error:
        code = _say(str(error), _exit_code(error))
    except KeyboardInterrupt:
        code = _say("interrupted; the same command goes on from here", INTERRUPTED)
    except typer.Abort:
        code = _say("aborted", INTERRUPTED)
    except Exception as error:
        # typer's own usage errors carry how to show themselves; anything else is a fault of ours.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        code = getattr(error, "exit_code", 2)
    sys.exit(code)


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"alchemist: {message}\n")
    return code


def _exit_code(error: Exception) -> int:
    if isinstance(error, EngineError):
        return error.exit_code
    return ConfigError.exit_code if isinstance(error, InputError) else EngineError.exit_code


def _terminate(number: int, frame: object) -> None:
    raise KeyboardInterrupt
