# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Debug symbols of ``-s``
-----------------------

drgn loads the files of ``-s``; a file that it ignores gives a warning.
"""

from collections.abc import Iterator, Sequence
import contextlib
import logging
import os
import stat
import sys
from typing import Optional

from drgn import MissingDebugInfoError, Program

from ..core.errors import attempt
from ..core.unreadable import Unreadable
from .status import UsageError, warn

__all__ = ("check_file", "check_symbols", "debug_files", "load_symbols")


class _Kept(logging.Handler):
    # Keeps the messages of drgn instead of printing them.
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextlib.contextmanager
def _what_drgn_says() -> Iterator[list[str]]:
    logger = logging.getLogger("drgn")
    kept = _Kept()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(kept)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    # drgn cannot log a message that is not UTF-8, as with a damaged OSRELEASE: Python
    # would print a traceback.
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield kept.said
    finally:
        sys.unraisablehook = hook
        logger.removeHandler(kept)
        logger.setLevel(level)
        logger.propagate = propagate


def check_file(option: str, path: str, expected: str = "") -> None:
    """
    Check that the path of an option is a file: opening a FIFO would block.

    :param expected: What the file should be
    :raises UsageError: if it is not
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as e:
        raise UsageError(f"{option} {path}: {e.strerror}") from None
    if not stat.S_ISREG(mode):
        more = f"; expected {expected}" if expected else ""
        raise UsageError(f"{option} {path}: not a file{more}")


def check_symbols(path: str) -> None:
    """
    Check that a path with symbols is a file.

    :raises UsageError: if it is not
    """
    check_file("-s", path, "a vmlinux or a module")


def _why_ignored(path: str, said: str) -> Optional[str]:
    for start in (f"{path}: ", f"provided file {path} "):
        if said.startswith(start) and said.endswith("; ignoring"):
            return said[len(start) : -len("; ignoring")]
    return None


def _load(prog: Program, paths: Sequence[str]) -> None:
    # A symbol that is missing is reported when it is needed.
    with contextlib.suppress(MissingDebugInfoError):
        prog.load_debug_info(paths, main=True)


def load_symbols(prog: Program, paths: Sequence[str]) -> None:
    """
    Load debug symbols, and warn of files that drgn ignores.

    :raises UsageError: if they cannot be loaded
    """
    with _what_drgn_says() as all_said:
        loaded = attempt(_load, prog, paths)
    if isinstance(loaded, Unreadable):
        raise UsageError(f"cannot load debug symbols: {loaded.reason}")
    for path in paths:
        for said in all_said:
            why = _why_ignored(path, said)
            if why is not None:
                warn(
                    f"-s {path}: drgn ignored it: {why}; expected the vmlinux of "
                    "exactly this kernel, or its modules"
                )


def debug_files(prog: Program) -> list[str]:
    """Return the files that drgn loaded debug symbols from."""
    files = (
        module.debug_file_path or module.loaded_file_path for module in prog.modules()
    )
    return sorted({path for path in files if path})
