# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Words
-----

How tables and CSV files show a value, or a few that belong together.
"""

from typing import Optional

from ..core.english import number_list, per_queue
from ..core.unreadable import Maybe, Unreadable
from ..model import XDP_MODES, Device, DeviceRef, QueueCount, XdpProgram
from .escape import for_terminal

__all__ = (
    "UNKNOWN",
    "cell",
    "queue_count",
    "reference",
    "rfs",
    "rps",
    "state",
    "xdp",
)

UNKNOWN = "?"


def cell(value: object, none: str = "") -> str:
    """
    Return one value, ``?`` if it could not be read.

    >>> cell(1500), cell("br\\n0"), cell(Unreadable("gone")), cell(None, "-")
    ('1500', 'br\\\\x0a0', '?', '-')
    """
    if value is None:
        return none
    if isinstance(value, Unreadable):
        return UNKNOWN
    return for_terminal(value) if isinstance(value, str) else str(value)


def queue_count(count: QueueCount) -> str:
    """
    Return real/allocated queues.

    >>> queue_count(QueueCount(14, 48)), queue_count(QueueCount(Unreadable("gone"), 48))
    ('14/48', '?/48')
    """
    return f"{cell(count.real)}/{cell(count.allocated)}"


def state(device: Device) -> str:
    """Return whether a device is up and has a carrier, as ``ip link`` shows it."""
    flags = device.flags
    if isinstance(flags, Unreadable):
        return UNKNOWN
    if "UP" not in flags:
        return "DOWN"
    return "UP" if "RUNNING" in flags else "NO-CARRIER"


def reference(ref: Maybe[Optional[DeviceRef]]) -> str:
    """
    Return how another device refers to one: by its name and namespace.

    >>> reference(DeviceRef(4026531840, 7, "veth0", 0xFFFF888000000000))
    'veth0 (4026531840:7)'
    """
    if ref is None or isinstance(ref, Unreadable):
        return cell(ref)
    return f"{cell(ref.name)} ({cell(ref.netns)}:{cell(ref.ifindex)})"


def _program(mode: str, program: Maybe[Optional[XdpProgram]]) -> Optional[str]:
    if program is None:
        return None
    if isinstance(program, Unreadable):
        return f"{mode} {UNKNOWN}"
    link = "" if program.via == "netlink" else " link"
    frags = " frags" if program.frags is True else ""
    return f"{mode} {cell(program.name)}#{cell(program.id)}{link}{frags}"


def xdp(device: Device) -> list[str]:
    """Return the XDP programs of a device, one per line, with their mode."""
    lines = (_program(mode, getattr(device.xdp, mode)) for mode in XDP_MODES)
    return [line for line in lines if line is not None]


def rps(device: Device) -> str:
    """
    Return the CPUs that RPS steers to: ``0-3`` if all queues have the same,
    ``rx0:0-1 rx2-3:3`` otherwise, ``""`` if RPS is off.
    """
    if isinstance(device.rps, Unreadable):
        return UNKNOWN
    return per_queue(
        (
            queue.queue,
            UNKNOWN if isinstance(queue.cpus, Unreadable) else number_list(queue.cpus),
        )
        for queue in device.rps
    )


def rfs(device: Device) -> str:
    """Return the sizes of the RFS flow tables, in the form of :func:`rps()`."""
    queues = device.rps
    if isinstance(queues, Unreadable):
        return UNKNOWN
    return per_queue(
        (queue.queue, cell(queue.flow_entries) if queue.flow_entries else "")
        for queue in queues
    )
