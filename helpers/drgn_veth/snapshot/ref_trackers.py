# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Who took the references to a device
-----------------------------------

Only kernels with CONFIG_NET_DEV_REFCNT_TRACKER know. It is asked of devices that cannot
go: see ref_tasks.py.
"""

from collections import Counter
from typing import Optional

from drgn import Object, Program

from ..core.errors import WalkError, attempt
from ..core.unreadable import Maybe, Unreadable
from ..model import RefTracker
from ..readers.ref_tracker import (
    for_each_netdev_tracker,
    has_netdev_trackers,
    ref_tracker_stack,
)

__all__ = ("ref_trackers",)

_MAX_REFERENCES = 1 << 14
_MAX_STACKS = 10
_MAX_FUNCTIONS = 4

_Stack = Maybe[tuple[int, ...]]


def _function(prog: Program, address: int) -> str:
    # A return address is behind the call, which may be the last of its function.
    found = attempt(lambda: prog.symbol(address - 1).name)
    return hex(address) if isinstance(found, Unreadable) else found


def _read(prog: Program, address: int) -> Optional[tuple[RefTracker, ...]]:
    if not has_netdev_trackers(prog):
        return None
    dev = Object(prog, "struct net_device *", address)
    count: Counter[_Stack] = Counter()
    for number, tracker in enumerate(for_each_netdev_tracker(dev)):
        if number >= _MAX_REFERENCES:
            raise WalkError(f"more than {_MAX_REFERENCES} references")
        count[attempt(ref_tracker_stack, tracker)] += 1
    # Other references may be tracked, and not those to devices.
    if not count:
        return None

    def functions(stack: _Stack) -> Maybe[tuple[str, ...]]:
        if isinstance(stack, Unreadable):
            return stack
        return tuple(_function(prog, at) for at in stack[:_MAX_FUNCTIONS])

    return tuple(
        RefTracker(number, functions(stack))
        for stack, number in count.most_common(_MAX_STACKS)
    )


def ref_trackers(
    prog: Program, address: int
) -> Maybe[Optional[tuple[RefTracker, ...]]]:
    """
    Return which functions took the references to a device.

    :param address: Of a ``struct net_device``
    :return: Those that took most of them first, at most ten; None if this kernel does
        not know
    """
    return attempt(_read, prog, address)
