# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a report stood up, value by value."""

import collections
from collections.abc import Collection, Iterator, Mapping
import json
from typing import Any, NamedTuple

from drgn_veth.model import LinkStats, QdiscStats, VethQueueStats, VethRing

__all__ = (
    "COUNTED",
    "Comparison",
    "NOBODY",
    "NO_SECOND_SOURCE",
    "Path",
    "Told",
    "check",
    "kind_of",
    "leaves",
)

#: What has counters, by the place in a report.
COUNTED: Mapping[str, Any] = {
    "devices.stats": LinkStats,
    "devices.queue_stats": VethQueueStats,
    "devices.queue_stats.ring": VethRing,
    "devices.qdisc_stats": QdiscStats,
}
_COUNTERS = "they do not stand still in this scene: test_counters compares others"

#: What no tool in the guest tells, and what stands for it.
NO_SECOND_SOURCE = {
    **{
        f"{where}.{name}": _COUNTERS
        for where, record in COUNTED.items()
        for name in record._fields
    },
    "target.kind": "how the test opened the target",
    "target.types": "which symbols the test gave",
    "target.path": "which file the test gave",
    "devices.refcount": "of devices that are torn down: test_teardown checks those of "
    "its scene",
    "target.rtnl_owner": "tests of the scenes in which a task holds it check it",
    "target.rtnl_owner.pid": "likewise",
    "target.rtnl_owner.comm": "likewise",
    "target.time": "test_crash_time checks it against the time of the recording",
    "devices.net_device": "an address: no tool shows one; the device's other values "
    "were read through it",
    "devices.xdp.queues.prog_id": "test_veth_queues checks it against the programs "
    "and the history of the scene",
    "devices.xdp.queues.napi": "likewise",
    "devices.xdp.driver.extensions.function": "bpftool shows none; that of the scene "
    '"maps" is compared',
    "devices.xdp.generic.extensions.function": "likewise",
    "devices.xps.cpus": "of a device made with one TX queue: sysfs answers ENOENT",
}

#: The source of a value that nobody tells.
NOBODY = ""

Path = tuple[str, ...]
#: Where a value is, who says what it is, and what that is.
Told = tuple[Path, str, Any]


class Comparison(NamedTuple):
    """How a report stood up."""

    compared: "collections.Counter[str]"  # values, by second source
    differences: list[str]
    alone: "collections.Counter[str]"  # values without a second source, by kind


# Lists and objects that are one value.
_WHOLE = (
    *("addresses", "altnames", "cpus", "flags", "lowers", "master", "online_cpus"),
    *("isolated_cpus", "maps", "need_wakeup", "peer", "rx_queues", "uppers"),
)
# Lists that sysfs does not have in the kernel's order.
_UNORDERED = ("lowers", "uppers")


def _in_order(path: Path, value: Any) -> Any:
    if not path or path[-1] not in _UNORDERED or not isinstance(value, list):
        return value
    return sorted(value, key=json.dumps)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the values of a record, with where each is."""
    whole = bool(path) and path[-1] in _WHOLE
    if isinstance(value, dict) and not whole:
        for name, member in value.items():
            yield from leaves(member, (*path, name))
    elif isinstance(value, list) and not whole:
        for i, member in enumerate(value):
            yield from leaves(member, (*path, str(i)))
    else:
        yield path, value


def kind_of(where: str, path: Path) -> str:
    """Return what kind of value is somewhere."""
    return ".".join((where, *(part for part in path if not part.isdigit())))


def check(
    result: Comparison,
    where: str,
    place: str,
    ours: dict[str, Any],
    expected: Iterator[Told],
    unasked: Collection[str] = (),
) -> None:
    """
    Compare the values of a record with those that are expected.

    :param where: What the kinds of its values begin with
    :param place: What it is called if one differs
    :param unasked: Kinds of values that the truth does not have
    """
    have = dict(leaves(ours))
    told = set()
    for path, source, value in expected:
        if source == NOBODY:
            continue
        told.add(path)
        result.compared[source] += 1
        if path not in have:
            result.differences.append(
                f"{place}.{'.'.join(path)}: missing, {source} says {value!r}"
            )
        elif _in_order(path, have[path]) != _in_order(path, value):
            result.differences.append(
                f"{place}.{'.'.join(path)}: {have[path]!r}, {source} says {value!r}"
            )
    for path in have.keys() - told:
        kind = kind_of(where, path)
        result.alone[kind] += 1
        if kind not in NO_SECOND_SOURCE and kind not in unasked:
            result.differences.append(
                f"{place}.{'.'.join(path)}: {have[path]!r}, which nothing confirms"
            )
