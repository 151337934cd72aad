# SPDX-License-Identifier: LGPL-2.1-or-later
"""Why the counters of a device are not known, in words that can be found again."""

import re
from typing import Optional

__all__ = ("is_driver_counter", "no_driver_counters")


def no_driver_counters(driver: Optional[str]) -> str:
    """
    Return why the counters of a device are not known: its driver is not among those
    that are, and only it knows.

    :param driver: Name of the driver, None if that is not known either
    """
    name = "its driver" if driver is None else f"the driver {driver}"
    return f"only {name} knows what it has counted"


_ONLY = re.compile(r"only (its driver|the driver .*) knows what it has counted")


def is_driver_counter(reason: str) -> bool:
    """Return whether a reason is one of :func:`no_driver_counters()`."""
    return _ONLY.fullmatch(reason) is not None
