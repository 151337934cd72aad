# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Progress
--------

A line on standard error for work that takes longer than a second, if that is a
terminal. It is erased when the work ends, and before anything else is printed there.

A thread writes it: drgn does not hold Python's lock while it loads symbols.
"""

from collections.abc import Iterator
import contextlib
import os
import sys
import threading
import time
from typing import Callable

from drgn_veth_start import at_signal, name_in_messages

from ..render.escape import for_terminal
from ..render.width import cut, width

__all__ = ("erase", "working")

#: Seconds of work before the line appears, and between its updates.
AFTER = 1.0
EVERY = 1.0


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:
        return False


class _Line:
    # The line of this process.
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown = 0  # columns

    def show(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            text = cut(text, columns - 1, "")
            pad = " " * (self._shown - width(text))
            sys.stderr.write(f"\r{text}{pad}")
            sys.stderr.flush()
            self._shown = width(text)

    def erase(self) -> None:
        with self._lock:
            self.erase_at_once()

    def erase_at_once(self) -> None:
        # In a signal handler the lock may be taken for ever.
        if self._shown:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write("\r" + " " * self._shown + "\r")
                sys.stderr.flush()
            self._shown = 0


_line = _Line()
_stages: list[list[str]] = []  # what is done, and how far it is


def erase() -> None:
    """Erase the line, before something else is printed on standard error."""
    _line.erase()


def _update(end: threading.Event) -> None:
    start = time.monotonic()
    wait = AFTER
    while not end.wait(wait):
        wait = EVERY
        if _stages:
            passed = int(time.monotonic() - start)
            said = ", ".join([*filter(None, _stages[-1]), f"{passed} s"])
            _line.show(for_terminal(f"{name_in_messages()}: {said}"))


@contextlib.contextmanager
def working(what: str) -> Iterator[Callable[[float], None]]:
    """
    Say what this block does, if it takes long. Blocks may be nested.

    :param what: Such as "opening vmcore"
    :return: Takes how far it is, from 0 to 1, if that is known
    """
    stage = [what, ""]

    def reached(share: float) -> None:
        stage[1] = f"{share:.0%}"

    _stages.append(stage)
    try:
        if len(_stages) > 1 or not _is_terminal():
            yield reached
            return
        end = threading.Event()
        writer = threading.Thread(target=_update, args=(end,), daemon=True)
        writer.start()
        try:
            with at_signal(_line.erase_at_once):
                yield reached
        finally:
            end.set()
            writer.join()
            _line.erase()
    finally:
        _stages.pop()
