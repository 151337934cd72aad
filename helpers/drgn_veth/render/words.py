# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Words
-----

How one value, or a few that belong together, read in a table or a CSV file.
"""

from typing import Dict, Iterable, List, Optional, Tuple

from ..model import (
    Device,
    DeviceRef,
    Maybe,
    QueueCount,
    RpsQueue,
    Unreadable,
    XdpProgram,
)
from .escape import for_terminal

__all__ = (
    "UNKNOWN",
    "cell",
    "number_list",
    "queue_count",
    "reference",
    "rfs",
    "rps",
    "state",
    "xdp",
)

UNKNOWN = "?"

# More ways to steer than that do not fit into a table; JSON has all.
_MOST_GROUPS = 16


def cell(value: object, none: str = "") -> str:
    """Return one value, ``?`` if it could not be read."""
    if value is None:
        return none
    if isinstance(value, Unreadable):
        return UNKNOWN
    return for_terminal(value) if isinstance(value, str) else str(value)


def number_list(numbers: Iterable[int]) -> str:
    """Return ascending numbers as the kernel lists CPUs: ``0-3,6``."""
    runs: List[List[int]] = []
    for number in numbers:
        if runs and runs[-1][1] + 1 == number:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def queue_count(count: QueueCount) -> str:
    """Return real/allocated queues."""
    return f"{cell(count.real)}/{cell(count.allocated)}"


def state(device: Device) -> str:
    """Return whether a device is up, and has a carrier, as ``ip link`` does."""
    flags = device.flags
    if isinstance(flags, Unreadable):
        return UNKNOWN
    if "UP" not in flags:
        return "DOWN"
    return "UP" if "RUNNING" in flags else "NO-CARRIER"


def reference(ref: Maybe[Optional[DeviceRef]]) -> str:
    """Return a device as another one names it: its name, and its namespace."""
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


def xdp(device: Device) -> List[str]:
    """Return the XDP programs of a device, one a line, with their mode."""
    modes: Tuple[Tuple[str, Maybe[Optional[XdpProgram]]], ...] = (
        ("generic", device.xdp.generic),
        ("driver", device.xdp.driver),
        ("offload", device.xdp.offload),
    )
    lines = (_program(mode, program) for mode, program in modes)
    return [line for line in lines if line is not None]


def _by_value(
    queues: Iterable[Tuple[int, Maybe[object]]],
) -> Dict[Maybe[object], List[int]]:
    groups: Dict[Maybe[object], List[int]] = {}
    for queue, value in queues:
        groups.setdefault(value, []).append(queue)
    return groups


def _rps_groups(queues: Tuple[RpsQueue, ...]) -> Iterable[str]:
    groups = _by_value((queue.queue, queue.cpus) for queue in queues)
    shown = 0
    for cpus, members in groups.items():
        if shown == _MOST_GROUPS:
            yield "..."
            return
        if isinstance(cpus, Unreadable):
            words = UNKNOWN
        elif not isinstance(cpus, tuple) or not cpus:
            continue
        else:
            words = number_list(cpus)
        if len(members) < len(queues):
            words = f"rx{number_list(members)}:{words}"
        yield words
        shown += 1


def rps(device: Device) -> str:
    """
    Return the CPUs that RPS steers to: ``0-3`` if all queues have the same,
    ``rx0:0-1 rx2-3:3`` otherwise, ``""`` if RPS is off.
    """
    if isinstance(device.rps, Unreadable):
        return UNKNOWN
    return " ".join(_rps_groups(device.rps))


def rfs(device: Device) -> str:
    """Return the sizes of the RFS flow tables, in the form of :func:`rps()`."""
    queues = device.rps
    if isinstance(queues, Unreadable):
        return UNKNOWN
    groups = _by_value((queue.queue, queue.flow_entries) for queue in queues)
    groups.pop(0, None)
    return " ".join(
        (f"rx{number_list(members)}:" if len(members) < len(queues) else "")
        + cell(entries)
        for entries, members in groups.items()
    )
