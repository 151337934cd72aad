# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Columns
-------

What tables and CSV files show of a device: one list, :data:`COLUMNS`. A fact is a
column in a CSV file. In a table, a cell holds several facts, one per line.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import functools
import itertools
from typing import (
    Callable,
    NamedTuple,
    Optional,
)

from ..analysis.chains import chains_above
from ..core.unreadable import Maybe, Unreadable
from ..model import BridgePort, Device, DeviceRef, Pair
from . import words
from .width import KEEP

__all__ = (
    "COLUMNS",
    "HEADER",
    "KIND",
    "PEER",
    "QUEUES",
    "STATE",
    "WHO",
    "XDP_RPS",
    "Cell",
    "Column",
    "columns_with",
    "lines",
    "of_ref",
    "rows_of_pairs",
)


class Cell(NamedTuple):
    """A column of a table."""

    header: str


WHO = Cell("NETNS\nIFINDEX: DEVICE")
KIND = Cell("KIND")
STATE = Cell("STATE\nMTU")
QUEUES = Cell("QUEUES\nREAL/MAX")
XDP_RPS = Cell("XDP PROGRAM#ID\nRPS CPUS")
PEER = Cell("PEER\n(NETNS:IFINDEX)")


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
    port = device.bridge_port
    state = port.state if isinstance(port, BridgePort) else None
    if isinstance(state, str) and state != "forwarding":
        return [f"in {name} ({words.cell(state)})"]
    return [f"in {name}"]


# What is on an upper device may be on a thousand of them.
_MOST_CHAINS = 16
_MOST_SHOWN = 4


def _chains(
    most: int, devices: Mapping[int, Device], device: Device
) -> tuple[list[str], bool]:
    # The first chains of a device, and whether one has several levels.
    if device.uppers == ():  # Most have none.
        return [], False
    found = list(itertools.islice(chains_above(device, devices), most + 1))
    texts = [words.chain(chain, device) for chain in found]
    texts[most:] = ["..." for _ in texts[most:]]
    return texts, any(len(chain.devices) > 1 for chain in found)


def _chain(devices: Mapping[int, Device], device: Device) -> str:
    texts, _ = _chains(_MOST_CHAINS, devices, device)
    return "; ".join(
        text if text == "..." else f"{words.cell(device.name)} < {text}"
        for text in texts
    )


def _kept_together(text: str) -> str:
    # Each line of a cell begins with "<".
    return text.replace("< ", f"<{KEEP}")


def _above(devices: Mapping[int, Device], device: Device) -> list[str]:
    # One level is clear from the master alone.
    texts, several = _chains(_MOST_SHOWN, devices, device)
    if not several:
        return _in_master(device)
    return [text if text == "..." else _kept_together(f"< {text}") for text in texts]


def _below(device: Device) -> list[str]:
    # A device on another one. Ports name their master instead.
    lowers = device.lowers
    if device.vlan is device.macvlan is device.ipvlan is None:
        return []
    if isinstance(lowers, Unreadable):
        return [f"on {words.UNKNOWN}"]
    return [f"on {words.cell(lower.name)}" for lower in lowers]


def _numbered(ref: Maybe[Optional[DeviceRef]]) -> str:
    # With the ifindex: programs read these cells, too.
    if ref is None or isinstance(ref, Unreadable):
        return words.cell(ref)
    return f"{words.cell(ref.name)} ({words.netns(ref)}:{words.cell(ref.ifindex)})"


def _refs(refs: Maybe[tuple[DeviceRef, ...]]) -> str:
    if isinstance(refs, Unreadable):
        return words.UNKNOWN
    return "; ".join(map(_numbered, refs))


def _registration(device: Device) -> list[str]:
    state = device.reg_state
    if device.off_list is not None or state == "REGISTERED":
        return []
    return [f"({words.cell(state).lower()})"]


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
    Column("netns", lambda d: words.cell(d.netns)),
    Column("netns_label", lambda d: words.netns(d.ref), WHO),
    Column("ifindex", lambda d: words.cell(d.ifindex)),
    Column("name", lambda d: words.cell(d.name), WHO, _index_and_name),
    Column("altnames", lambda d: _joined(d.altnames)),
    Column("alias", lambda d: words.cell(d.alias)),
    Column("net_device", lambda d: f"{d.net_device:#x}"),
    Column("kind", lambda d: words.cell(d.kind), KIND),
    Column("vlan", words.vlan, KIND),
    Column("macvlan", words.macvlan, KIND),
    Column("ipvlan", words.ipvlan, KIND),
    Column("bond", words.bond, KIND),
    Column("netkit", words.netkit, KIND),
    Column("flags", lambda d: _joined(d.flags), STATE, lambda d: [words.state(d)]),
    Column("operstate", lambda d: words.cell(d.operstate)),
    Column("reg_state", lambda d: words.cell(d.reg_state), WHO, _registration),
    Column(
        *("mtu", lambda d: words.cell(d.mtu), STATE),
        lambda d: [f"mtu {words.cell(d.mtu)}"],
    ),
    Column("min_mtu", lambda d: words.cell(d.min_mtu)),
    Column("max_mtu", lambda d: words.cell(d.max_mtu)),
    Column("mac", lambda d: words.cell(d.mac)),
    Column("qdisc", lambda d: words.cell(d.qdisc)),
    Column("addresses", lambda d: _joined(d.addresses)),
    Column("master", lambda d: _numbered(d.master)),
    Column("bridge_port", words.bridge_port),
    Column("lowers", lambda d: _refs(d.lowers), WHO, _below),
    Column("uppers", lambda d: _refs(d.uppers)),
    Column("peer", lambda d: _numbered(d.peer), PEER),
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


_CHAIN = "chain"
_BEFORE_CHAIN = "uppers"


def columns_with(devices: Iterable[Device]) -> Sequence[Column]:
    """
    Return :data:`COLUMNS`, and those that need other devices.

    :param devices: All devices
    """
    known = {device.net_device: device for device in devices}
    chain = Column(
        *(_CHAIN, functools.partial(_chain, known), WHO),
        functools.partial(_above, known),
    )
    columns = list(COLUMNS)
    columns.insert(HEADER.index(_CHAIN), chain)
    return columns


def _header() -> list[str]:
    names = [column.name for column in COLUMNS]
    names.insert(names.index(_BEFORE_CHAIN) + 1, _CHAIN)
    return names


#: The names of all columns.
HEADER: Sequence[str] = _header()


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
        "netns_label": words.netns(ref),
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
