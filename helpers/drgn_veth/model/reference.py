# SPDX-License-Identifier: LGPL-2.1-or-later
"""
References to devices
---------------------
"""

from typing import NamedTuple, Optional

from ..core.unreadable import Maybe

__all__ = ("DeviceRef",)


class DeviceRef(NamedTuple):
    """A device as another one names it."""

    netns: Maybe[int]
    ifindex: Maybe[int]
    name: Maybe[str]
    net_device: int  # what tells it from all others, even in a damaged dump
    # Why it is on no list of its namespace, or its namespace on none.
    off_list: Optional[str] = None
    label: str = ""  # of its namespace
