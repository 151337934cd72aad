# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What fits on a screen
---------------------

Of many pairs, those that there is something to say about. Pure functions of a Snapshot.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
import fnmatch
from typing import NamedTuple, Optional, Union

from ..core.nearest import nearest
from ..core.unreadable import Unreadable
from ..model import Device, DeviceRef, Snapshot
from .names import name_of
from .netns_names import FilterError, is_pattern
from .rules import RULES_BY_ID
from .rules.finding import ERROR, INFO, WARNING, Finding

__all__ = ("End", "Shown", "all_of", "few", "marks", "rules_like", "shown")

#: An end of a pair; one that is not among the devices is known by its reference alone.
End = Union[Device, DeviceRef]

_PLAIN = 4
_FEW = 12  # devices in full


class Shown(NamedTuple):
    """What a screen shows, and what it leaves out."""

    #: Both ends of a pair, or a single device.
    rows: tuple[tuple[End, ...], ...]
    more: int = 0  #: pairs and devices with findings, XDP or RPS that are left out
    plain: int = 0  #: pairs with none of these that are left out
    others: int = 0  #: devices in no pair with none of these


def marks(found: Sequence[Finding]) -> Mapping[int, str]:
    """Return the worst severity of each device that has an error or a warning."""
    worst: dict[int, str] = {}
    for finding in found:
        if finding.device is None or finding.severity == INFO:
            continue
        address = finding.device.net_device
        if finding.severity == ERROR or address not in worst:
            worst[address] = finding.severity
    return worst


def _has_program(device: Device) -> bool:
    xdp = device.xdp
    return not (xdp.generic is xdp.driver is xdp.offload is None)


def _has_sockets(device: Device) -> bool:
    # A value that could not be read is named elsewhere.
    return not isinstance(device.af_xdp, Unreadable) and bool(device.af_xdp)


def _has_rps(device: Device) -> bool:
    rps = device.rps
    return isinstance(rps, Unreadable) or any(q.cpus or q.flow_entries for q in rps)


def _has_masks(device: Device) -> bool:
    # As the head counts them.
    rps = device.rps
    return not isinstance(rps, Unreadable) and any(
        isinstance(queue.cpus, tuple) and queue.cpus for queue in rps
    )


def _rank(end: End, worst: Mapping[int, str]) -> int:
    # The lower, the more there is to say.
    severity = worst.get(end.net_device)
    if severity is not None:
        return (ERROR, WARNING).index(severity)
    if end.off_list is not None or isinstance(end, DeviceRef):
        return 2
    if _has_program(end) or _has_sockets(end):
        return 2
    return 3 if _has_rps(end) else _PLAIN


def _rows(
    kept: Snapshot, worst: Mapping[int, str]
) -> tuple[list[tuple[End, ...]], int]:
    # The rows, and how many devices in no pair have none.
    by_address = {device.net_device: device for device in kept.devices}
    rows: list[tuple[End, ...]] = []
    ends: set[int] = set()
    others = 0
    for pair in kept.pairs:
        both = (pair.a, pair.b)
        ends.update(ref.net_device for ref in both)
        rows.append(tuple(by_address.get(ref.net_device, ref) for ref in both))
    for device in kept.devices:
        if device.net_device in ends:
            continue
        told = device.matched or device.net_device in worst
        has = _has_program(device) or _has_sockets(device) or _has_masks(device)
        if told or has:
            rows.append((device,))
        else:
            others += 1
    return rows, others


def all_of(kept: Snapshot) -> Shown:
    """Return all devices, each by itself."""
    return Shown(tuple((device,) for device in kept.devices))


def shown(
    kept: Snapshot, found: Sequence[Finding], most: Optional[int] = None
) -> Shown:
    """
    Return the pairs, and the devices in no pair that have a program, an AF_XDP socket,
    an RPS mask, an error or a warning, or that a filter matches.

    :param found: The findings on them
    :param most: Rows, one for each device. If there are more, only those with findings,
        XDP or RPS are shown, worst first; None: no limit
    """
    worst = marks(found)
    rows, others = _rows(kept, worst)
    if most is None or sum(map(len, rows)) <= most:
        return Shown(tuple(rows), others=others)
    ranks = [min(_rank(end, worst) for end in row) for row in rows]
    room = most
    chosen: set[int] = set()
    for i in sorted(range(len(rows)), key=ranks.__getitem__):
        room -= len(rows[i])
        if ranks[i] == _PLAIN or room < 0:
            break
        chosen.add(i)
    left = Counter(ranks[i] == _PLAIN for i in range(len(rows)) if i not in chosen)
    there = tuple(rows[i] for i in sorted(chosen))
    return Shown(there, left[False], left[True], others)


def _label(device: Device) -> str:
    if device.netns_label:
        return device.netns_label
    return "?" if isinstance(device.netns, Unreadable) else str(device.netns)


def few(kept: Snapshot, names: Sequence[str]) -> Sequence[Device]:
    """
    Return the devices that a filter matches, to be shown in full.

    :param names: What they were asked for by, for the error
    :raises FilterError: if there are too many
    """
    devices = [device for device in kept.devices if device.matched]
    if len(devices) <= _FEW:
        return devices
    first = ", ".join(
        f"{name_of(device)} ({_label(device)})" for device in devices[:_FEW]
    )
    raise FilterError(
        f"{len(devices)} devices match {' or '.join(names)}: {first} and "
        f"{len(devices) - _FEW} more; at most {_FEW} are shown in full: name fewer, or "
        "choose with --netns"
    )


def rules_like(patterns: Sequence[str]) -> frozenset[str]:
    """
    Return the rules that have a name.

    :param patterns: Names of rules, or shell patterns of them
    :raises FilterError: if no rule has this name; it has the nearest ones
    """
    rules: set[str] = set()
    for pattern in patterns:
        there = fnmatch.filter(RULES_BY_ID, pattern)
        if not there:
            near = nearest(pattern.strip("*?"), RULES_BY_ID)
            said = "matches" if is_pattern(pattern) else "is called"
            more = f"; nearest: {', '.join(near)}" if near else ""
            raise FilterError(f"no rule {said} {pattern!r}{more}")
        rules.update(there)
    return frozenset(rules)
