# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How a script ends
-----------------

Its exit status, and the one line on standard error that says what went wrong.
"""

import contextlib
import os
import sys
from typing import Callable, Optional

from drgn import Program
from drgn_veth_start import name_in_messages, restore_signals

from ..render.escape import for_terminal
from .progress import erase

__all__ = (
    "EXIT_FOUND",
    "EXIT_OK",
    "EXIT_TARGET",
    "EXIT_USAGE",
    "TRACEBACK",
    "TargetError",
    "UsageError",
    "drop_stdout",
    "internal_error",
    "run",
    "warn",
)

EXIT_OK = 0
EXIT_FOUND = 1  # asked to check, and an error was found
EXIT_USAGE = 2
EXIT_TARGET = 3

_INTERRUPTED = 130
#: The environment variable that asks for a traceback.
TRACEBACK = "DRGN_VETH_TRACEBACK"


class UsageError(Exception):
    """The command line asks for something impossible."""


class TargetError(Exception):
    """The target cannot be read at all."""


def warn(message: str) -> None:
    """Print a message on standard error, in one line whatever it contains."""
    if sys.stderr is None:  # closed; print() would take standard output
        return
    erase()
    line = for_terminal(f"{name_in_messages()}: {message}")
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def internal_error(error: BaseException) -> str:
    """Return what to say of an error that nobody expected."""
    return (
        f"internal error: {type(error).__name__}: {error}; please report it with the "
        f"output of {TRACEBACK}=1"
    )


def drop_stdout() -> None:
    """Send what is left for standard output nowhere: it cannot be written."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _flush_stdout() -> int:
    # argparse may have printed something. If Python flushed it, it would print a
    # traceback.
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        return EXIT_OK
    except OSError as e:
        drop_stdout()
        if isinstance(e, BrokenPipeError):
            return EXIT_OK
        warn(f"standard output: {e.strerror}")
        return EXIT_USAGE


def _status(main: Callable[[Optional[Program]], int], prog: Optional[Program]) -> int:
    try:
        return main(prog)
    except UsageError as e:
        warn(str(e))
        return EXIT_USAGE
    except TargetError as e:
        warn(str(e))
        return EXIT_TARGET
    except BrokenPipeError:
        return EXIT_OK  # argparse printed, and the reader has gone away.
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else EXIT_USAGE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as e:
        # A dump is untrusted, and may lead to code paths that nobody has tested.
        if os.environ.get(TRACEBACK):
            raise
        warn(internal_error(e))
        return EXIT_TARGET


def run(main: Callable[[Optional[Program]], int], prog: Optional[Program]) -> int:
    """
    Run a script's main function.

    :param main: Takes the program that drgn has set up, returns the exit status
    :param prog: That program, None without drgn
    :return: Exit status
    """
    if sys.stderr is None:
        # argparse, too, would take standard output.
        sys.stderr = open(os.devnull, "w")
    try:
        status = _status(main, prog)
        return _flush_stdout() or status
    finally:
        restore_signals()
