# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The process that reads dumps
----------------------------

drgn does not let other threads of a process run while it reads, and a dump may kill
libkdumpfile. So another process reads: one dump after the other, as long as it lives,
since it knows the types of the kernels that it has met. Here is what starts it, asks
it, and says how it died.
"""

from collections.abc import Sequence
import json
import os
import select
import signal
import subprocess
import time
from typing import Any, NamedTuple, Optional

from .told import CRASHED, TIMEOUT, Told

__all__ = ("Limits", "Reader", "ReaderError")

_START = 120.0  # seconds that it may take to start
_CHUNK = 1 << 16
# How a process ends when a library runs out of memory and does not check for it.
_WITHOUT_MEMORY = (1, -signal.SIGABRT, -signal.SIGSEGV)
_MOST = 1 << 24  # bytes of an answer
#: The kernel ends it this many seconds after the time is up, should nobody else.
GRACE = 60


class ReaderError(Exception):
    """The process that reads dumps cannot be started."""


class Limits(NamedTuple):
    """What the reading of one dump may take."""

    seconds: float
    megabytes: int


def _how_it_died(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


class Reader:
    """
    The process.

    :param argv: Its command line
    :param limits: Of one dump
    """

    def __init__(self, argv: Sequence[str], limits: Limits) -> None:
        self.limits = limits
        self._argv = argv
        self._process: Optional[subprocess.Popen[bytes]] = None

    def _started(self) -> "subprocess.Popen[bytes]":
        process = self._process
        if process is not None and process.poll() is None:
            return process
        self.stop()
        self._process = process = subprocess.Popen(
            [*self._argv, str(os.getpid()), json.dumps(self.limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not for it.
        )
        if self._answer(process, _START) is None:
            status = process.poll()
            self.stop()
            why = "it takes too long" if status is None else _how_it_died(status)
            raise ReaderError(f"the process that reads dumps did not start: {why}")
        return process

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _answer(
        self, process: "subprocess.Popen[bytes]", seconds: float
    ) -> Optional[dict[str, Any]]:
        # A line of JSON; None: it died, or the time is up, and it still runs.
        assert process.stdout is not None
        fd = process.stdout.fileno()
        end = time.monotonic() + seconds
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        data = b""
        while len(data) < _MOST:
            left = end - time.monotonic()
            if left <= 0 or not poll.poll(1000 * left):
                return None
            chunk = os.read(fd, _CHUNK)
            if not chunk:
                process.wait()
                return None
            data += chunk
            if data.endswith(b"\n"):
                answer: dict[str, Any] = json.loads(data)
                return answer
        process.kill()
        process.wait()
        return None

    def ask(self, question: Any) -> dict[str, Any]:
        """
        Let it read a dump.

        :param question: Becomes a line of JSON
        :return: Its answer; if it died or was too slow, ``{"told": ...}``
        :raises ReaderError: if it cannot be started
        """
        process = self._started()
        assert process.stdin is not None
        start = time.monotonic()
        answer = None
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            answer = self._answer(process, self.limits.seconds)
        except BrokenPipeError:
            process.wait()
        if answer is not None:
            if answer.get("last"):
                self.stop()
            return answer
        status = process.poll()
        self.stop()
        seconds = time.monotonic() - start
        if status is None:
            allowed = f"{self.limits.seconds:g} s"
            why = f"it was not read within {allowed}; --timeout allows more"
            return {"told": Told(TIMEOUT, why, (), seconds)}
        why = f"the process that read it died: {_how_it_died(status)}"
        if status in _WITHOUT_MEMORY:
            allowed = f"{self.limits.megabytes} MB"
            why += f", perhaps for lack of memory; --memory allows more than {allowed}"
        return {"told": Told(CRASHED, why, (), seconds)}
