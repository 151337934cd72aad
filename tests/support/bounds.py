# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long something may take."""

from collections.abc import Iterator
import contextlib
import time

__all__ = ("takes_less_than",)


@contextlib.contextmanager
def takes_less_than(seconds: float) -> Iterator[None]:
    """
    Bound what a block takes.

    :param seconds: Of the CPU; ten times as many may pass beside other tests
    """
    cpu, clock = time.process_time(), time.monotonic()
    try:
        yield
    finally:
        took, passed = time.process_time() - cpu, time.monotonic() - clock
        assert took < seconds, f"{took:.2f} s"
        assert passed < 10 * seconds, f"{passed:.2f} s"
