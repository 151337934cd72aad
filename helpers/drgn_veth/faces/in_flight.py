# SPDX-License-Identifier: LGPL-2.1-or-later
"""
veth_path.py --in-flight
------------------------

What lay in the queues of some devices, and in those that all devices share.
"""

from collections.abc import Sequence
from typing import Any

from ..analysis.in_flight import queues_of
from ..core.unreadable import Unreadable
from ..model import Device, Snapshot
from ..render.in_flight import in_flight
from ..render.plain import plain
from ..render.style import PLAIN, Style

__all__ = ("document", "screen")


def screen(
    snapshot: Snapshot, devices: Sequence[Device], style: Style = PLAIN
) -> list[str]:
    """Return the lines that show what is in flight."""
    return in_flight(queues_of(snapshot, devices), style)


def document(snapshot: Snapshot, devices: Sequence[Device]) -> Any:
    """Return what is in flight in the form of the JSON contract."""
    queues = queues_of(snapshot, devices)
    if isinstance(queues, Unreadable):
        return plain(queues)
    return [plain(queue) for queue in queues]
