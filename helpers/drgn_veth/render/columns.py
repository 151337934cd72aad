# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Columns
-------

What tables and CSV files show of a device: one list, :data:`COLUMNS`. A fact is a
column in a CSV file. In a table, a cell holds several facts, one per line.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import (
    Callable,
    NamedTuple,
    Optional,
)

from ..core.unreadable import Maybe, Unreadable
from ..model import Device, DeviceRef, Pair
from . import words

__all__ = (
    "COLUMNS",
    "KIND",
    "PEER",
    "QUEUES",
    "STATE",
    "WHO",
    "XDP_RPS",
    "Cell",
    "Column",
    "lines",
    "of_ref",
    "rows_of_pairs",
)


class Cell(NamedTuple):
    """A column of a table."""

    header: str


WHO = Cell("netns\nifindex: name")
KIND = Cell("kind")
STATE = Cell("state\nMTU")
QUEUES = Cell("queues\nreal/max")
XDP_RPS = Cell("XDP program#id\nRPS CPUs")
PEER = Cell("peer\n(netns:ifindex)")


class Column(NamedTuple):
    """A fact about a device."""

    name: str  #: in the header of a CSV file
    text: Callable[[Device], str]  #: in a CSV file; "" for nothing
    cell: Optional[Cell] = None  #: where it is in a table, None if in no table
    #: Its lines there: by default, one with the text, none if the text is "".
    lines: Optional[Callable[[Device], Sequence[str]]] = None


def _joined(texts: Maybe[tuple[str, ...]]) -> str:
    if isinstance(texts, Unreadable):
        return words.UNKNOWN
    return " ".join(words.cell(text) for text in texts)


def _index_and_name(device: Device) -> list[str]:
    return [f"{words.cell(device.ifindex)}: {words.cell(device.name)}"]


def _in_master(device: Device) -> list[str]:
    master = device.master
    if master is None:
        return []
    name = words.UNKNOWN if isinstance(master, Unreadable) else words.cell(master.name)
    return [f"in {name}"]


def _off_list(device: Device) -> list[str]:
    return [] if device.off_list is None else [f"({device.off_list})"]


def _labelled(
    label: str, text: Callable[[Device], str]
) -> Callable[[Device], list[str]]:
    def labelled(device: Device) -> list[str]:
        said = text(device)
        return [f"{label} {said}"] if said else []

    return labelled


#: In the order of a CSV file, and of the lines in a cell of a table.
COLUMNS: Sequence[Column] = (
    Column("netns", lambda d: words.cell(d.netns), WHO),
    Column("ifindex", lambda d: words.cell(d.ifindex)),
    Column("name", lambda d: words.cell(d.name), WHO, _index_and_name),
    Column("altnames", lambda d: _joined(d.altnames)),
    Column("alias", lambda d: words.cell(d.alias)),
    Column("net_device", lambda d: f"{d.net_device:#x}"),
    Column("kind", lambda d: words.cell(d.kind), KIND),
    Column("flags", lambda d: _joined(d.flags), STATE, lambda d: [words.state(d)]),
    Column("operstate", lambda d: words.cell(d.operstate)),
    Column(
        *("mtu", lambda d: words.cell(d.mtu), STATE),
        lambda d: [f"mtu {words.cell(d.mtu)}"],
    ),
    Column("min_mtu", lambda d: words.cell(d.min_mtu)),
    Column("max_mtu", lambda d: words.cell(d.max_mtu)),
    Column("mac", lambda d: words.cell(d.mac)),
    Column("master", lambda d: words.reference(d.master), WHO, _in_master),
    Column("peer", lambda d: words.reference(d.peer), PEER),
    Column(
        *("rx_real", lambda d: words.cell(d.queues.rx.real), QUEUES),
        lambda d: [f"rx {words.queue_count(d.queues.rx)}"],
    ),
    Column("rx_allocated", lambda d: words.cell(d.queues.rx.allocated)),
    Column(
        *("tx_real", lambda d: words.cell(d.queues.tx.real), QUEUES),
        lambda d: [f"tx {words.queue_count(d.queues.tx)}"],
    ),
    Column("tx_allocated", lambda d: words.cell(d.queues.tx.allocated)),
    Column("xdp", lambda d: "; ".join(words.xdp(d)), XDP_RPS, words.xdp),
    Column("rps", words.rps, XDP_RPS, _labelled("rps", words.rps)),
    Column("rfs", words.rfs, XDP_RPS, _labelled("rfs", words.rfs)),
    Column("off_list", lambda d: words.cell(d.off_list), WHO, _off_list),
)


def lines(column: Column, device: Device) -> Sequence[str]:
    """Return the lines of a column in a table."""
    if column.lines is not None:
        return column.lines(device)
    text = column.text(device)
    return [text] if text else []


def of_ref(ref: DeviceRef) -> dict[str, str]:
    """Return the columns that a reference to a device fills."""
    return {
        "netns": words.cell(ref.netns),
        "ifindex": words.cell(ref.ifindex),
        "name": words.cell(ref.name),
        "off_list": words.cell(ref.off_list),
    }


def rows_of_pairs(
    pairs: Iterable[Pair],
    devices: Iterable[Device],
    known: Callable[[Device], list[str]],
    unknown: Callable[[DeviceRef], list[str]],
) -> Iterator[list[str]]:
    """
    Yield a row for each pair: one end, then the other.

    :param devices: All devices, to look up an end that a filter has removed
    :param known: Returns the cells of an end
    :param unknown: Returns the cells of an end that is not among the devices
    """
    by_address = {device.net_device: device for device in devices}
    for pair in pairs:
        row: list[str] = []
        for ref in (pair.a, pair.b):
            device = by_address.get(ref.net_device)
            row += unknown(ref) if device is None else known(device)
        yield row
