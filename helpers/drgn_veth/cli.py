# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the scripts have in common
-------------------------------

Writing the output, and telling in one line what went wrong. What they look at is opened
in :mod:`drgn_veth.opening`.
"""

import argparse
import contextlib
import io
import os
import stat
import sys
import tempfile
from typing import BinaryIO, Callable, Iterator, Optional

from drgn import Program

from .render.escape import for_terminal

__all__ = (
    "EXIT_FOUND",
    "EXIT_OK",
    "EXIT_TARGET",
    "EXIT_USAGE",
    "TargetError",
    "UsageError",
    "add_output_options",
    "replacing",
    "run",
    "warn",
    "write_output",
)

EXIT_OK = 0
EXIT_FOUND = 1  # asked to check, and an error was found
EXIT_USAGE = 2
EXIT_TARGET = 3

_INTERRUPTED = 130
_TRACEBACK = "DRGN_VETH_TRACEBACK"


class UsageError(Exception):
    """The command cannot be carried out as it was given."""


class TargetError(Exception):
    """The target cannot be read at all."""


def warn(message: str) -> None:
    """Say something on standard error, in one line whatever is in it."""
    if sys.stderr is None:  # closed; print() would take standard output
        return
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    with contextlib.suppress(OSError):
        print(for_terminal(f"{name}: {message}"), file=sys.stderr, flush=True)


def add_output_options(parser: argparse._ActionsContainer) -> None:
    """Add the options that say where the output goes."""
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write there instead of to standard output; the file appears only "
        "when it is complete",
    )


def _default_mode(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


@contextlib.contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """
    Open a file to write that takes its place only when it is complete.

    :raises UsageError: if it cannot be written
    """
    if os.path.basename(path) in ("", os.curdir, os.pardir):
        raise UsageError(f"cannot write '{path}': that is no name of a file")
    try:
        # A name such as /dev/stderr or a FIFO is written to, not replaced.
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as f:
                yield f
            return
        goal = os.path.realpath(path)
        mode = _default_mode(goal)
        fd, temporary = tempfile.mkstemp(
            dir=os.path.dirname(goal), prefix=".drgn-veth-"
        )
        try:
            with open(fd, "wb") as f:
                yield f
            os.chmod(temporary, mode)
            os.replace(temporary, goal)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as e:
        raise UsageError(
            f"cannot write {path}: {e.strerror or e}; it takes a folder that can be "
            "written, with room in it"
        ) from None


def _to_stdout(text: str) -> None:
    out = sys.stdout
    if out is None:
        raise UsageError("standard output is closed; --output FILE writes to a file")
    try:
        out.flush()
        try:
            # Not by out.buffer: with python -u that is a file that may write less
            # than it is given, and nobody looks.
            binary = open(out.fileno(), "wb", closefd=False)
        except io.UnsupportedOperation:
            out.write(text)  # Not a file: a notebook has its own.
            return
        with binary:
            # A terminal may not have the letters of a device's name.
            binary.write(text.encode(out.encoding, "backslashreplace"))
    except OSError as e:
        raise UsageError(
            f"standard output: {e.strerror}; the report is cut short there, "
            "--output FILE writes all of it"
        ) from None


def write_output(text: str, path: Optional[str]) -> None:
    """
    Write the output, in whole or not at all.

    :param path: File, None for standard output
    :raises UsageError: if it cannot be written
    """
    if path is None:
        _to_stdout(text)
        return
    with replacing(path) as f:
        f.write(text.encode("utf-8", "backslashreplace"))


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
        return main(prog)
    except UsageError as e:
        warn(str(e))
        return EXIT_USAGE
    except TargetError as e:
        warn(str(e))
        return EXIT_TARGET
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as e:
        # What is read is untrusted, and may get us where nobody has been.
        if os.environ.get(_TRACEBACK):
            raise
        warn(
            f"this should not have happened: {type(e).__name__}: {e}; please report "
            f"it with what {_TRACEBACK}=1 shows"
        )
        return EXIT_TARGET
